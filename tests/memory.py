"""How much memory a piece of work takes beyond what the process rests at."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

MEGABYTE = 1 << 20


def peak_of(work: Callable[[], Any]) -> int:
    """Return the bytes by which the resident set rose at its highest while `work` ran."""
    Path("/proc/self/clear_refs").write_text("5")  # forget the earlier peak
    rest = _status("VmRSS")
    work()
    return _status("VmHWM") - rest


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024
