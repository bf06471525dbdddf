"""Background work goes on, whatever happens in it, and ends when it is told to."""

import threading
from collections.abc import Callable

import pytest

from gateway import background
from gateway.background import Background

SOON, NEVER = 0.0, 3600.0  # seconds


def run(work: Callable[[], float], until: threading.Event) -> None:
    """Run the work in a thread until the event is set; see that the thread ends then."""
    works = Background("test", work)
    thread = threading.Thread(target=works.run)
    thread.start()
    done = until.wait(10)
    works.stop()
    thread.join(10)
    assert done and not thread.is_alive()


def test_the_work_is_done_again_after_its_pause() -> None:
    times, thrice = [], threading.Event()

    def work() -> float:
        times.append(1)
        if len(times) == 3:
            thrice.set()
        return SOON

    run(work, thrice)


def test_a_failure_is_told_and_does_not_end_the_thread(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(background, "AFTER_FAILURE", SOON)
    failures, again = iter([KeyError("odd")]), threading.Event()

    def work() -> float:
        for failure in failures:
            raise failure
        again.set()
        return NEVER

    run(work, again)
    assert caplog.messages == ["the test thread failed and continues"]


def test_who_is_woken_skips_one_pause() -> None:
    begun, woken, again = threading.Event(), threading.Event(), threading.Event()
    events = iter((begun, woken, again))

    def work() -> float:
        next(events).set()
        return NEVER

    works = Background("test", work)
    works.start()
    try:
        assert begun.wait(10)
        works.wake()
        assert woken.wait(10)
        assert not again.wait(0.2)
    finally:
        works.stop()


def test_who_is_woken_all_the_time_rests_nevertheless() -> None:
    begun, again = threading.Event(), threading.Event()
    events = iter((begun, again))

    def work() -> float:
        next(events).set()
        works.wake()
        return NEVER

    works = Background("test", work, rest=NEVER)
    works.start()
    try:
        assert begun.wait(10)
        assert not again.wait(0.2)
    finally:
        works.stop()
