"""Work that is done again and again beside the requests, in a thread that no failure ends."""

import logging
import threading
from collections.abc import Callable

logger = logging.getLogger(__name__)
AFTER_FAILURE = 2.0  # seconds


class Background:
    """A thread that does its work, pauses for the seconds that the work returned, and so on."""

    def __init__(self, name: str, work: Callable[[], float]) -> None:
        self._name = name
        self._work = work
        self._wake = threading.Event()
        self._stop = threading.Event()

    def start(self) -> None:
        """Begin."""
        threading.Thread(target=self.run, name=self._name, daemon=True).start()

    def wake(self) -> None:
        """End the present pause, or leave out the next one."""
        self._wake.set()

    def stop(self) -> None:
        """End after the present work."""
        self._stop.set()
        self.wake()

    def run(self) -> None:
        """Work until `stop`, in the thread that calls this."""
        while not self._stop.is_set():
            self._wake.wait(self._once())
            self._wake.clear()

    def _once(self) -> float:
        try:
            return self._work()
        except Exception:  # whatever it was: the gateway would not notice any more what changes
            logger.exception("the %s thread failed, and goes on", self._name)
            return AFTER_FAILURE
