"""Ends a run cleanly when it is told to stop."""

import signal
import sys
from collections.abc import Callable


def until_interrupted(name: str, run: Callable[[], int]) -> int:
    """Run and return the exit status; 130 if Ctrl-C or SIGTERM has ended the run."""
    # Contenders must not outlive a run that is told to stop.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return run()
    except KeyboardInterrupt:
        print(f"{name}: interrupted; nothing is left running", file=sys.stderr)
        return 130
