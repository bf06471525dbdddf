"""How fast bytes pass, judged by the last interval only: a fast transfer may stop later."""

SLOW_AFTER = 15.0  # seconds
SLOWEST = 16 * 1024  # bytes a second; honest clients are faster


class Pace:
    """Tell slow from steady; `passed` is the number of bytes that have passed in all."""

    def __init__(self, now: float) -> None:
        self.since = now
        self._passed = 0

    def restart(self, now: float, passed: int) -> None:
        """Begin a new interval."""
        self.since, self._passed = now, passed

    def is_slow(self, now: float, passed: int) -> bool:
        """Judge the interval once it is long enough, and begin the next."""
        if now - self.since < SLOW_AFTER:
            return False
        slow = passed - self._passed < SLOWEST * (now - self.since)
        self.restart(now, passed)
        return slow
