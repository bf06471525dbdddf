"""Limit the bytes that all requests together keep, and parse one large body at a time."""

import contextlib
import threading
from collections.abc import Callable, Iterator

from gateway.deadline import Deadline
from gateway.errors import Overloaded

LARGE = 1024 * 1024  # bytes
DISK_FULL = "The server has no space left to store this request; its log says where."
NO_ROOM = "Other requests in progress hold too many bytes; try again shortly."


class Budget:
    """Count what each connection keeps in memory and in temporary files, against one bound."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.kept = 0
        self._sizes: dict[object, int] = {}
        self._lock = threading.Lock()
        self._turn = threading.Lock()

    def count(self, holder: object, measure: Callable[[], int]) -> bool:
        """Count what `holder` keeps now; tell whether it may: shrinking is always allowed."""
        # Measured under the lock, so that the later of two threads never counts an older size.
        with self._lock:
            size, before = measure(), self._sizes.pop(holder, 0)
            if size:
                self._sizes[holder] = size
            self.kept += size - before
            return size <= before or self.kept <= self.most

    @contextlib.contextmanager
    def reading(self, length: int | None, deadline: Deadline) -> Iterator[None]:
        """Wait until no other large body is being parsed: that takes twice its size again.

        Parsing in parallel would gain nothing: Python runs it in one thread at a time.
        """
        if length is not None and length <= LARGE:
            yield
            return
        if not self._turn.acquire(timeout=max(0.0, deadline.remaining())):
            raise Overloaded("Other large requests used up the time; try again shortly.")
        try:
            yield
        finally:
            self._turn.release()
