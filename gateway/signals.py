"""The signals that end a program."""

import signal
from collections.abc import Callable
from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def on_ending(handler: Callable[[int, FrameType | None], None]) -> None:
    """Set a handler for the signals that end a program, except a SIGHUP that `nohup` ignores."""
    for number in ENDING:
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)
