"""What Triton tells a Python stub only through its command line."""

from pathlib import Path

DEFAULT_MAX_BATCH_SIZE = 4
_FLAG = "default-max-batch-size="


def arguments(process: str | int = "self") -> list[str]:
    """Read a process's arguments; empty if it cannot be read."""
    try:
        return (
            Path("/proc", str(process), "cmdline").read_bytes().decode(errors="replace").split("\0")
        )
    except OSError:
        return []


def default_max_batch_size(server: list[str]) -> int:
    """Read `--backend-config=default-max-batch-size=N` from Triton's arguments; 4 without it."""
    for argument in server:
        value = argument.rpartition(_FLAG)[2]
        if _FLAG in argument and value.isascii() and value.isdigit():
            return int(value)
    return DEFAULT_MAX_BATCH_SIZE
