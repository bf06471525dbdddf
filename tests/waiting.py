"""Polling, for tests that wait for a condition."""

import time
from collections.abc import Callable

INTERVAL = 0.05  # seconds


def wait_until(condition: Callable[[], object], what: str, deadline: float) -> None:
    """Poll until the condition holds; fail the test if it does not within `deadline` seconds."""
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, f"waited {deadline} s in vain until {what}"
        time.sleep(INTERVAL)
