"""How long a request may still take, and whether anybody waits for its answer."""

import time
from collections.abc import Callable

from gateway.errors import DeadlineExceeded


class ClientGone(Exception):
    """The client hung up: nobody waits for this answer."""


class Deadline:
    """The moment by which a request must be answered."""

    def __init__(self, seconds: float, start: float | None = None) -> None:
        self.seconds = seconds
        self.start = time.monotonic() if start is None else start
        self.client_gone: Callable[[], bool] = lambda: False  # for a server that cannot tell

    def remaining(self) -> float:
        """Return the seconds left; negative once it has passed."""
        return self.start + self.seconds - time.monotonic()

    def check(self, said: str = "") -> None:
        """Raise DeadlineExceeded, with what to log, or ClientGone: going on would be in vain."""
        if self.client_gone():
            raise ClientGone
        if self.remaining() <= 0:
            raise DeadlineExceeded(
                f"No answer within {self.seconds:g} s; try again later.", said=said
            )
