"""Parse one large body at a time: that takes twice its size again.

Parsing in parallel would gain nothing: Python runs it in one thread at a time.
"""

import contextlib
import threading
from collections.abc import Iterator

from gateway.deadline import Deadline
from gateway.errors import MEGABYTE, Overloaded

LARGE = MEGABYTE
_parsing = threading.Lock()


@contextlib.contextmanager
def turn(length: int | None, deadline: Deadline) -> Iterator[None]:
    """Wait for the turn of a body of this length; raise Overloaded if it does not come in time."""
    if length is not None and length <= LARGE:
        yield
        return
    if not _parsing.acquire(timeout=max(0.0, deadline.remaining())):
        raise Overloaded("Other large requests used up the time; try again shortly.")
    try:
        yield
    finally:
        _parsing.release()
