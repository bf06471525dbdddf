"""The name of one run, carried by everything it leaves outside its own process."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
_NAME = re.compile(r"edgelens_(\d+)_(\d+)_(\d+)_")


@dataclass(frozen=True)
class Run:
    """One launcher process: its PID namespace, its PID and the clock tick it started at."""

    namespace: int
    pid: int
    started: int

    @classmethod
    def current(cls) -> "Run":
        """Describe the running process."""
        return cls(_namespace(), os.getpid(), start_tick(os.getpid()) or 0)

    @classmethod
    def from_name(cls, name: str) -> "Run | None":
        """Read the run from a file's name; None if the file is not one of ours."""
        match = _NAME.match(name)
        return cls(*(int(group) for group in match.groups())) if match else None

    @property
    def prefix(self) -> str:
        """Name what all files and segments of this run begin with."""
        return f"edgelens_{self.namespace}_{self.pid}_{self.started}_"

    def is_gone(self) -> bool:
        """Tell whether this run has ended; another namespace's runs count as alive."""
        # A PID says nothing about a container that shares /dev/shm but not our PIDs.
        return self.namespace == _namespace() and start_tick(self.pid) != self.started


def _namespace() -> int:
    return (PROC / "self" / "ns" / "pid").stat().st_ino


def start_tick(pid: int) -> int | None:
    """Read when a process started; None if it has ended, even if nobody waited for it yet."""
    try:
        _, fields = stat(PROC / str(pid))
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def stat(process: Path) -> tuple[str, list[str]]:
    """Read the name of a process or thread and the fields behind it. Raises OSError at its end."""
    # A name may contain parentheses, and be no text at all.
    text = (process / "stat").read_text(errors="replace")
    name, _, fields = text.partition("(")[2].rpartition(")")
    return name, fields.split()
