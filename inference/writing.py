"""Writes files that others, such as a running Triton, may read at any moment."""

import secrets
from pathlib import Path


def write_text(path: Path, text: str, private: bool = False) -> None:
    """Write a file so that a reader sees the old content or the new, never a part.

    Only its owner can read a `private` file; any other that is replaced keeps its mode. Raises
    OSError, and then leaves nothing behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not our PID: in containers, every writer may be process 1.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        temporary.touch(0o600 if private else 0o666, exist_ok=False)
        temporary.write_text(text, encoding="utf-8")
        if path.exists() and not private:
            temporary.chmod(path.stat().st_mode & 0o777)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
