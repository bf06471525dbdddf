"""Writes files that others, such as a running Triton, may read at any moment."""

import glob
import os
import secrets
import time
from contextlib import suppress
from pathlib import Path

ABANDONED_SECONDS = 3600.0


def write_text(path: Path, text: str, private: bool = False) -> None:
    """Write a file so that a reader sees the old content or the new, never a part.

    That holds after a power failure, too. Only its owner can read a `private` file; any other that
    is replaced keeps its mode. Raises OSError, and then leaves nothing behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path)
    # Not our PID: in containers, every writer may be process 1.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        temporary.touch(0o600 if private else 0o666, exist_ok=False)
        temporary.write_text(text, encoding="utf-8")
        flush(temporary)
        if path.exists() and not private:
            temporary.chmod(path.stat().st_mode & 0o777)
        temporary.replace(path)
    except OSError as error:
        # That of a full disk names no file, and that of a rename two.
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Wait until a file's content is on the disk: its name may get there first. Raises OSError."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sweep(path: Path) -> None:
    """Remove what writers of this file that were killed have left."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.{'[0-9a-f]' * 16}"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > ABANDONED_SECONDS:
                left.unlink()
