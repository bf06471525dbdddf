"""Turn Ctrl-C, SIGTERM and a closed terminal into an exception that is never lost."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from gateway.signals import ENDING, on_ending


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt in the block at any ending signal, and again if Python drops it.

    Python drops an exception raised in a destructor, of which TensorFlow has many; a timer then
    raises it once more. TensorFlow's own code may turn it into another, such as SystemError.
    """
    came = False
    handlers = {n: signal.getsignal(n) for n in (*ENDING, signal.SIGALRM)}
    hook = sys.unraisablehook

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal came
        came = True
        signal.default_int_handler(number, frame)

    def interrupt_again(dropped: "sys.UnraisableHookArgs") -> None:
        if dropped.exc_type is KeyboardInterrupt:
            signal.setitimer(signal.ITIMER_REAL, 0.01)
        else:
            hook(dropped)

    on_ending(interrupt)
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    sys.unraisablehook = interrupt_again
    try:
        yield
    except Exception:
        if came:
            raise KeyboardInterrupt from None
        raise
    finally:
        sys.unraisablehook = hook
        for number, handler in handlers.items():
            signal.signal(number, handler)
