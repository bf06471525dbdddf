"""The clients that press a configuration."""

import threading

import pytest

from inference.errors import LaunchError
from inference.tuning.load import Load, press


def test_pressing_counts_what_clients_that_wait_for_answers_get() -> None:
    own = threading.local()

    def clock() -> float:
        return getattr(own, "now", 0.0)

    def infer() -> None:
        own.now = clock() + 1 / 32

    assert press(infer, clients=4, seconds=0.01, clock=clock) == Load(4, 4 * 32, 1000 / 32)


def test_a_failing_request_ends_the_pressing() -> None:
    def fail() -> None:
        raise LaunchError("on purpose")

    with pytest.raises(LaunchError, match="on purpose"):
        press(fail, clients=2, seconds=0.01)
