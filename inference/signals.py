"""The signals that end a program, put off for a while or turned into an exception."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from gateway.signals import ENDING, on_ending


class Interrupted(BaseException):
    """A signal asked the program to end; raised in the main thread, whatever it is doing."""


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let no ending signal interrupt the block; it takes effect at the end of the block.

    If the block cleans up after an exception, that one ends the program anyway.
    """
    came: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        came.append(number)

    before = {number: signal.getsignal(number) for number in ENDING}
    on_ending(note)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came and sys.exc_info()[0] is None:
        signal.raise_signal(came[0])


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """End the block at the first signal, by Interrupted; later ones do not disturb the clean-up."""

    def stop(*_: object) -> None:
        for number in ENDING:
            signal.signal(number, signal.SIG_IGN)
        raise Interrupted

    on_ending(stop)
    try:
        yield
    except Interrupted:
        return
