"""Notices when large batches have stopped coming."""

import atexit
import contextlib
import threading
from collections.abc import Callable, Iterator

IDLE_SECONDS = 3.0


class Idle:
    """Calls `action` once when no other large batch has followed one for `seconds`."""

    def __init__(self, action: Callable[[], None], seconds: float = IDLE_SECONDS) -> None:
        self._action, self._seconds = action, seconds
        self._running = threading.Lock()
        self._large = threading.Event()
        # Python's end would cut an action off inside the engine, which aborts the process.
        atexit.register(self._running.acquire)
        threading.Thread(target=self._watch, name="idle", daemon=True).start()

    @contextlib.contextmanager
    def busy(self, large: bool) -> Iterator[None]:
        """Hold the action back while something runs."""
        with self._running:
            try:
                yield
            finally:
                if large:
                    self._large.set()

    def _watch(self) -> None:
        """Wait for the end of a large batch, then for a pause, then act."""
        pause = threading.Event()
        while True:
            self._large.wait()
            self._large.clear()
            pause.wait(self._seconds)
            with self._running:
                if not self._large.is_set():  # one may have begun in the pause and ended just now
                    self._action()
