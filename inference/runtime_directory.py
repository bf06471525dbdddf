"""The directory where a launcher leaves its log and the admin key."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inference.errors import LaunchError


@contextmanager
def runtime_directory(path: Path) -> Iterator[Path]:
    """Make the directory and keep other launchers out: they would overwrite the log and the key.

    The kernel takes the lock back from whoever ends, in whatever way. Raises LaunchError.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDONLY)
    except OSError as exc:
        raise LaunchError(
            f"Cannot make {path} ({exc.strerror}):"
            " set EDGELENS_RUNTIME_DIR to a directory of yours."
        ) from None
    try:
        _lock(handle, path)
        yield path
    finally:
        os.close(handle)


def _lock(handle: int, path: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise LaunchError(
            f"Another Triton keeps its log and its key in {path}:"
            " stop it, or set EDGELENS_RUNTIME_DIR to another directory."
        ) from None
