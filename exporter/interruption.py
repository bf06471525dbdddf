"""Ctrl-C and SIGTERM as an exception that surely comes."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt within the block on SIGTERM too, and again where Python dropped it.

    Python drops what is raised within a destructor, of which TensorFlow has many; a timer then
    raises it once more.
    """
    handlers = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGALRM)}
    hook = sys.unraisablehook

    def interrupt_again(dropped: "sys.UnraisableHookArgs") -> None:
        if dropped.exc_type is KeyboardInterrupt:
            signal.setitimer(signal.ITIMER_REAL, 0.01)
        else:
            hook(dropped)

    for number in handlers:
        signal.signal(number, signal.default_int_handler)
    sys.unraisablehook = interrupt_again
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for number, handler in handlers.items():
            signal.signal(number, handler)
