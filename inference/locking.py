"""Locks directories against other processes, in whichever container they run."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(directory: Path, wait: bool = False) -> Iterator[None]:
    """Hold a directory's lock, also while it is renamed.

    If it is taken, wait, or raise BlockingIOError.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(descriptor)
