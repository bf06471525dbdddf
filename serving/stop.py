"""The request to stop, which a signal may bring at any moment."""

import os
import signal
import time

from gateway.signals import on_ending


class Stop:
    """Remembers that somebody wants everything to end.

    A `threading.Event` would not do. A handler that sets it, while the same thread is about to wait
    for it, needs a lock that this thread already holds: it would wait for itself for ever.
    """

    def __init__(self) -> None:
        self._wanted = False
        self._needs_terminal = False

    def on_signals(self) -> None:
        """Treat Ctrl-C, SIGTERM and a closed terminal as the request.

        Only the leader of a session is told that its terminal was closed. A shell passes that on.
        `make`, which leads if a terminal was opened for it, waits for us and does not.
        """
        on_ending(self.set)
        in_leaders_group = os.getpgrp() == os.getsid(0)
        heeds_hangup = signal.getsignal(signal.SIGHUP) == self.set
        self._needs_terminal = in_leaders_group and heeds_hangup and os.isatty(0)

    def set(self, *_: object) -> None:
        """Request the stop."""
        self._wanted = True

    def is_set(self) -> bool:
        """Tell whether to stop."""
        if self._needs_terminal and not os.isatty(0):
            self.set()
        return self._wanted

    def wait(self, seconds: float) -> bool:
        """Wait a moment, and tell whether to stop."""
        if not self._wanted:
            time.sleep(seconds)
        return self.is_set()
