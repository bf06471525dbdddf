"""Output for whoever started the program, to a terminal, a pipe or a file."""

import contextlib
import sys
import time
from typing import TextIO


def say(text: str, stream: TextIO | None = None) -> None:
    """Print a line at once; a reader that is gone or a full disk must not stop the work."""
    with contextlib.suppress(OSError):
        print(text, file=stream or sys.stdout, flush=True)


def note(text: str) -> None:
    """Print what has happened to a running server, and when: it may be read days later."""
    say(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}")
