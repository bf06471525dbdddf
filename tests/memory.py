"""How much memory a piece of work takes, in this process or in another one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

MEGABYTE = 1 << 20


def peak_of(work: Callable[[], Any]) -> int:
    """Return the bytes by which the resident set rose at its highest while `work` ran."""
    forget_peak()
    rest = _status("VmRSS", "self")
    work()
    return peak() - rest


def forget_peak(pid: int | str = "self") -> None:
    """Let the peak of a process begin anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak(pid: int | str = "self") -> int:
    """Return the largest resident size of a process in bytes since `forget_peak`."""
    return _status("VmHWM", pid)


def _status(name: str, pid: int | str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024
