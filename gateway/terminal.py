"""What people read where a program was started: a terminal, a pipe or a file."""

import contextlib
import sys
from typing import TextIO


def say(text: str, stream: TextIO | None = None) -> None:
    """Print a line at once; that nobody reads it, or its disk is full, must not stop the work."""
    with contextlib.suppress(OSError):
        print(text, file=stream or sys.stdout, flush=True)
