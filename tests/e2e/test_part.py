"""The parts that `make serve` starts again."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from inference.tritonserver.processes import is_alive
from serving import part
from serving.errors import ServeError
from serving.part import ASK_PERIOD, MOST_SILENCES, STEADY, Part
from tests.gateway.clock import Clock
from tests.waiting import wait_until


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(part, "time", SimpleNamespace(monotonic=clock))
    return clock


@pytest.fixture
def idle() -> Iterator[Part]:
    """A part that does nothing until it is killed."""
    running = Part("the part", ["sleep", "60"], {}, "http://127.0.0.1:9/")
    running.start()
    yield running
    running.finish(0)


def test_a_part_that_ended_by_itself_has_given_up_but_not_one_that_was_killed(idle: Part) -> None:
    ending = Part("the part", ["false"], {}, "")
    ending.require_start()  # it may have had no memory to be started with
    ending.start()
    ending.finish(10)
    with pytest.raises(ServeError, match="the part did not start"):
        ending.require_start()
    idle.require_start()
    idle.finish(0)
    idle.require_start()


def test_a_part_that_cannot_be_started_now_is_started_later(
    tmp_path: Path, clock: Clock, capfd: pytest.CaptureFixture[str]
) -> None:
    command, done = tmp_path / "command", tmp_path / "done"
    mended = Part("the part", [str(command)], {}, "http://127.0.0.1:9/")
    for _ in range(2):  # so soon it is not tried again
        mended.revive()
    told = "the part cannot be restarted now (No such file or directory)"
    assert capfd.readouterr().out.count(told) == 1
    for _ in range(MOST_SILENCES):
        clock.now += ASK_PERIOD
        mended.check()  # nothing runs that could be killed
    command.write_text(f"#!/bin/sh\ntouch {done}\n")
    command.chmod(0o755)
    mended.revive()
    mended.finish(20)
    assert done.exists()


def test_a_part_that_keeps_ending_is_started_ever_later_until_it_was_steady(clock: Clock) -> None:
    ending = Part("the part", ["false"], {}, "")
    ending.start()
    for run, pause in (
        (0, 2),
        (0, 4),
        (0, 8),
        (0, 16),
        (0, 30),
        (STEADY, 30),
        (STEADY + 1, 0),
        (0, 2),
    ):
        ending.finish(10)
        clock.now += run
        ended = clock.now
        ending.revive()
        while ending._process is None:
            clock.now += 1
            ending.revive()
        assert clock.now == ended + pause
    ending.finish(10)


@pytest.mark.parametrize("works", [False, True], ids=["frozen", "at work"])
def test_a_part_that_stays_silent_is_killed_unless_it_is_at_work(
    clock: Clock,
    idle: Part,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    works: bool,
) -> None:
    said = [*[False] * (MOST_SILENCES - 1), True, *[False] * MOST_SILENCES]
    monkeypatch.setattr(part, "answers", lambda *_, **__: said.pop(0))
    monkeypatch.setattr(part, "is_working", lambda _: works)
    for _ in range(2 * MOST_SILENCES):
        assert "killing it" not in capfd.readouterr().out
        idle.check()
        idle.check()  # so soon it is not asked again
        clock.now += ASK_PERIOD
    assert said == []
    assert ("killing it" in capfd.readouterr().out) is not works
    if not works:
        assert idle._process.wait(10) < 0
        idle.revive()
        said.append(False)  # it has only just been started
        idle.check()
        assert "killing it" not in capfd.readouterr().out


CLEANING = """
import signal, subprocess, sys
child = subprocess.Popen(["sleep", "60"])
def end(*_):
    print("asked", flush=True)
    if "stubborn" not in sys.argv:
        child.kill()
        sys.exit()
signal.signal(signal.SIGTERM, end)
print(child.pid, flush=True)
while True:
    signal.pause()
"""


@pytest.mark.parametrize("kind", ["polite", "stubborn"])
def test_a_part_is_asked_to_end_and_killed_with_its_children_if_it_does_not(
    kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []

    def has_said(lines: int) -> bool:
        said.extend(capfd.readouterr().out.splitlines())
        return len(said) == lines

    ending = Part("the part", [sys.executable, "-c", CLEANING, kind], {}, "")
    ending.stop(20)  # it may not have been started yet
    ending.finish(0)
    ending.start()
    try:
        wait_until(lambda: has_said(1), "it runs", 20)
        ending.stop(20 if kind == "polite" else 0)
        assert ending._process.poll() == (0 if kind == "polite" else None)
        wait_until(lambda: has_said(2), "it is asked", 20)
    finally:
        ending.finish(0)
    wait_until(lambda: not is_alive(int(said[0])), "its child is gone", 20)
