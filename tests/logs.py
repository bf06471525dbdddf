"""What servers have printed, shown where a test fails."""

import contextlib
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
            lines = log.read_text().splitlines()[-LINES:]
            print(f"{log.name}:", *(line[:WIDTH] for line in lines), sep="\n  ")
        raise
