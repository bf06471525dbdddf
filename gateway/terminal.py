"""Output for whoever started the program, to a terminal, a pipe or a file.

Importing this makes the standard streams fit for it.
"""

import atexit
import contextlib
import functools
import io
import logging
import os
import select
import stat
import sys
import time
from typing import TextIO

ESCAPE = "backslashreplace"
PATIENCE_MS = 100  # for a reader that is slow, such as a serial line


def say(text: str, stream: TextIO | None = None) -> None:
    """Print a line at once; a reader that is gone or a full disk must not stop the work."""
    with contextlib.suppress(OSError):
        show(text, stream)


def show(text: str, stream: TextIO | None = None) -> None:
    """Print a line at once. Raises OSError."""
    print(text, file=stream or sys.stdout, flush=True)


def tell(text: str, stream: TextIO | None = None) -> None:
    """Print a line of a running server; drop it if its reader has stopped, as a pager or Ctrl-S."""
    output = _opened_anew(stream or sys.stdout)
    if _takes_more(output):
        say(text, output)


def note(text: str) -> None:
    """Tell what has happened to a running server, and when: it may be read days later."""
    tell(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}")


class LogHandler(logging.Handler):
    """Tells what is logged; requests are answered even if nobody reads the log."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record unless its reader has stopped."""
        try:
            tell(self.format(record), sys.stderr)
        except Exception:  # who logs goes on, whatever is wrong with the record
            self.handleError(record)


@functools.cache
def _opened_anew(stream: TextIO) -> TextIO:
    """Open a stream's pipe or terminal so that no write waits for its reader.

    It may take more, and yet not a whole line. Other programs share the stream itself, and do wait.
    """
    try:
        if stat.S_ISREG(os.fstat(stream.fileno()).st_mode):  # a file always takes more
            return stream
        flags = os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK
        opened = os.open(f"/proc/self/fd/{stream.fileno()}", flags)
    except OSError:  # a socket, or another user's pipe
        return stream
    return os.fdopen(opened, "w", encoding=stream.encoding, errors=ESCAPE)


def _takes_more(stream: TextIO) -> bool:
    """Tell whether something can be written without waiting for who reads it."""
    poll = select.poll()
    poll.register(stream, select.POLLOUT)
    return bool(poll.poll(PATIENCE_MS))


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
        sys.stdout.reconfigure(errors=ESCAPE)


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
