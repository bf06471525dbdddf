"""Looking at processes."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.signals import ENDING, on_ending
from inference.tritonserver.processes import (
    children,
    command_line,
    computed,
    dead_stubs,
    ending,
    is_alive,
    is_working,
)
from tests.places import HOME
from tests.waiting import wait_until


@pytest.fixture
def child(request: pytest.FixtureRequest) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen([sys.executable, "-c", request.param])
    yield process
    process.kill()
    process.wait()


@pytest.mark.parametrize("child", ["while True: pass"], indirect=True)
def test_computing_process_works(child: "subprocess.Popen[bytes]") -> None:
    wait_until(lambda: is_working(child.pid), "the loop was seen", 20)
    wait_until(lambda: computed(child.pid) > 0.5, "it has had half a second of a core", 60)


@pytest.mark.parametrize("child", ["import time; time.sleep(600)"], indirect=True)
def test_sleeping_process_does_not_work(child: "subprocess.Popen[bytes]") -> None:
    wait_until(lambda: not is_working(child.pid), "it has started and sleeps", 20)
    assert computed(child.pid) < 0.5
    assert is_alive(child.pid)


@pytest.mark.parametrize("child", [""], indirect=True)
def test_process_that_ended_is_not_alive_even_before_it_is_reaped(
    child: "subprocess.Popen[bytes]",
) -> None:
    wait_until(lambda: not is_alive(child.pid), "it ended", 20)
    assert command_line(child.pid) == []
    assert not is_working(child.pid)


@pytest.mark.parametrize(
    ("status", "told"),
    [(1, "ended with status 1"), (-9, "was killed by SIGKILL"), (-40, "was killed by signal 40")],
)
def test_how_a_process_ended_can_always_be_told(status: int, told: str) -> None:
    assert ending(status) == told


def test_a_process_that_ends_while_it_is_looked_at_does_not_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    monkeypatch.setattr(Path, "is_dir", lambda _: True)  # as it was a moment ago
    assert not is_working(ended.pid)


NAMED_WITHOUT_LETTERS = """
import ctypes, time
ctypes.CDLL(None).prctl(15, b"\\xff) Z 1")
time.sleep(600)
"""


@pytest.mark.parametrize("child", [NAMED_WITHOUT_LETTERS], indirect=True)
def test_names_of_processes_may_be_any_bytes(child: "subprocess.Popen[bytes]") -> None:
    name = Path(f"/proc/{child.pid}/comm")
    wait_until(lambda: name.read_bytes() == b"\xff) Z 1\n", "it is renamed", 20)
    assert is_alive(child.pid)
    assert child.pid in children()
    assert dead_stubs() == set()
    wait_until(lambda: not is_working(child.pid), "it sleeps", 20)


def test_what_nohup_ignores_ends_nothing() -> None:
    def taken() -> list[signal.Signals]:
        on_ending(handler)
        return [number for number in ENDING if signal.getsignal(number) is handler]

    def handler(*_: object) -> None:
        """End nothing."""

    before = {number: signal.getsignal(number) for number in ENDING}
    try:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests, too, may run under nohup
        assert taken() == list(ENDING)
        for number in ENDING:  # a shell ignores SIGINT for what it starts in the background
            signal.signal(number, signal.SIG_IGN)
        assert taken() == [signal.SIGTERM, signal.SIGINT]
    finally:
        for number, usual in before.items():
            signal.signal(number, usual)


def test_a_thread_that_never_ends_does_not_keep_the_launcher(tmp_path: Path) -> None:
    program = f"""
import runpy, sys, threading
threading.Thread(target=threading.Event().wait).start()
sys.argv = ["inference", "--repository", {str(tmp_path)!r}]
runpy.run_module("inference", run_name="__main__")
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=HOME, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 1
    assert "No model is ready" in ended.stderr
