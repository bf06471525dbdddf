"""What servers have printed, shown where a test fails."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

LINES, WIDTH = 12, 200


@contextlib.contextmanager
def shown_on_failure(*logs: Path) -> Iterator[None]:
    """If the block fails or is cut off, print the last lines of these files."""
    try:
        yield
    except BaseException:
        for log in filter(Path.exists, logs):
            print(f"{log.name}:", *last_lines(log), sep="\n  ")
        raise


def last_lines(log: Path) -> list[str]:
    """Return the end of a log, without the ends of very long lines."""
    return [line[:WIDTH] for line in log.read_text().splitlines()[-LINES:]]


def fill(pipe: int) -> None:
    """Write zeros into a pipe until whoever writes more has to wait for its reader."""
    os.set_blocking(pipe, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(pipe, bytes(1024))
    os.set_blocking(pipe, True)
