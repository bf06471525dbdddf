"""Turns the signals that end the launcher into an exception."""

import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType

from inference.errors import Stop

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def wanted(numbers: Iterable[signal.Signals]) -> list[signal.Signals]:
    """Leave out a SIGHUP that `nohup` has told us to ignore."""
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [number for number in numbers if not (ignored and number is signal.SIGHUP)]


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Raise Stop inside the block at the first signal; later ones do not disturb the clean-up."""

    def stop(number: int, frame: FrameType | None) -> None:
        del frame
        for each in ENDING:
            signal.signal(each, signal.SIG_IGN)
        raise Stop(signal.Signals(number).name)

    for each in wanted(ENDING):
        signal.signal(each, stop)
    try:
        yield
    except Stop:
        return
