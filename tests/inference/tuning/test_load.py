"""The clients that press a configuration."""

import threading
import time
from functools import partial

import pytest

from inference.errors import LaunchError
from inference.tuning.load import Load, press


def test_pressing_counts_what_clients_that_wait_for_answers_get_once_warm() -> None:
    own, calls = threading.local(), []

    def clock() -> float:
        return getattr(own, "now", 0.0)

    def infer() -> None:
        time.sleep(0.01)
        own.now = clock() + (1 / 32 if clock() else 9)  # the first call takes long
        calls.append(own.now)

    assert press(infer, clients=4, seconds=0.5, clock=clock) == Load(4 * 32, 1000 / 32)
    assert len(calls) > 4 * 2


def test_calls_that_take_longer_than_the_time_are_measured_all_the_same() -> None:
    assert press(partial(time.sleep, 0.05), clients=1, seconds=0).p50_ms >= 50


def test_a_failing_request_ends_the_pressing() -> None:
    def fail() -> None:
        raise LaunchError("on purpose")

    with pytest.raises(LaunchError, match="on purpose"):
        press(fail, clients=2, seconds=0.01)
