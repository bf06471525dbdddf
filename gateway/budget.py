"""Limit the bytes that all requests together keep."""

import threading
from collections.abc import Callable


class Budget:
    """Count what each connection keeps in memory and in temporary files, against one bound."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.kept = 0
        self._sizes: dict[object, int] = {}
        self._lock = threading.Lock()

    def count(self, holder: object, measure: Callable[[], int]) -> bool:
        """Count what `holder` keeps now; tell whether it may: shrinking is always allowed."""
        # Measured under the lock, so that the later of two threads never counts an older size.
        with self._lock:
            size, before = measure(), self._sizes.pop(holder, 0)
            if size:
                self._sizes[holder] = size
            self.kept += size - before
            return size <= before or self.kept <= self.most
