"""Output for whoever started the program, to a terminal, a pipe or a file.

Importing this makes the standard streams fit for it.
"""

import atexit
import contextlib
import io
import os
import sys
import time
from typing import TextIO


def say(text: str, stream: TextIO | None = None) -> None:
    """Print a line at once; a reader that is gone or a full disk must not stop the work."""
    with contextlib.suppress(OSError):
        show(text, stream)


def show(text: str, stream: TextIO | None = None) -> None:
    """Print a line at once. Raises OSError."""
    print(text, file=stream or sys.stdout, flush=True)


def _open_closed_streams() -> None:
    """Let closed standard streams lead nowhere: a file that is opened next would become one."""
    while (opened := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(opened, True)
    os.close(opened)
    sys.stdout, sys.stderr = sys.stdout or _nowhere(), sys.stderr or _nowhere()


def _nowhere() -> TextIO:
    """Open what keeps nothing, and not descriptor 1 or 2: a file may have become that before."""
    return os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")


def _accept_any_text() -> None:
    """Escape what a terminal's encoding lacks, as in a path: standard error does so anyway."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


_open_closed_streams()
_accept_any_text()


@atexit.register
def _drop_the_rest() -> None:
    """Drop what could not be printed: Python would try again, and end with status 120."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def note(text: str) -> None:
    """Print what has happened to a running server, and when: it may be read days later."""
    say(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}")
