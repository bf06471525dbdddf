"""Repeated background work, in a thread that survives every failure."""

import logging
import threading
from collections.abc import Callable

logger = logging.getLogger(__name__)
AFTER_FAILURE = 2.0  # seconds


class Background:
    """A thread that repeats its work, and pauses for the seconds that each run returns.

    Nobody can wake it in the first `rest` seconds of a pause.
    """

    def __init__(self, name: str, work: Callable[[], float], rest: float = 0.0) -> None:
        self._name = name
        self._work = work
        self._rest = rest
        self._wake = threading.Event()
        self._stop = threading.Event()

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self.run, name=self._name, daemon=True).start()

    def wake(self) -> None:
        """End the current pause after its rest, or skip the next one."""
        self._wake.set()

    def stop(self) -> None:
        """End once the current run is done."""
        self._stop.set()
        self.wake()

    def run(self) -> None:
        """Work until `stop`, in the calling thread."""
        while not self._stop.is_set():
            pause = self._once()
            self._stop.wait(self._rest)
            self._wake.wait(max(0.0, pause - self._rest))
            self._wake.clear()

    def _once(self) -> float:
        try:
            return self._work()
        except Exception:  # of any kind: without this thread the gateway would miss all changes
            logger.exception("the %s thread failed and continues", self._name)
            return AFTER_FAILURE
