"""Find a process's cgroups, version 1 and 2."""

from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
SELF = Path("/proc/self/cgroup")


def enclosing(root: Path, membership: Path, controller: str) -> list[Path]:
    """List a process's cgroup and its visible ancestors; the controller "" means version 2."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return [root]
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            own = Path(path.lstrip("/"))
            return [root / own, *(root / above for above in own.parents), root]
    return [root]
