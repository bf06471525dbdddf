"""The wish to stop, which a signal may bring at any moment."""

import time

from inference.signals import on_ending


class Stop:
    """Remembers that somebody wants all to end.

    A `threading.Event` would not do: a handler that sets it while the same thread is about to wait
    for it takes a lock which that thread already holds, and waits for itself for ever.
    """

    def __init__(self) -> None:
        self._wanted = False

    def on_signals(self) -> None:
        """Take Ctrl-C, SIGTERM and a closed terminal for the wish."""
        on_ending(self.set)

    def set(self, *_: object) -> None:
        """Wish it."""
        self._wanted = True

    def is_set(self) -> bool:
        """Tell whether to stop."""
        return self._wanted

    def wait(self, seconds: float) -> bool:
        """Wait a moment, and tell whether to stop."""
        if not self._wanted:
            time.sleep(seconds)
        return self._wanted
