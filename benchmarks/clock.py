"""The time that a run may take, and what is left of it."""

import sys
import time


class Clock:
    """Counts down the minutes of a run and reports its progress."""

    def __init__(self, minutes: float) -> None:
        self._began = time.monotonic()
        self._seconds = minutes * 60

    def passed(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self._began

    def suffices(self, seconds: float) -> bool:
        """Tell whether at least this many seconds are left."""
        return self.passed() + seconds <= self._seconds

    def say(self, text: str) -> None:
        """Report progress on the terminal."""
        print(
            f"[{self.passed():4.0f} of {self._seconds:.0f} s] {text}", file=sys.stderr, flush=True
        )
