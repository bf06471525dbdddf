"""How much memory a version takes, and how much there is."""

import math
from pathlib import Path

from gateway.cgroups import CGROUPS, SELF, enclosing
from inference.deployment.errors import DeployError
from inference.tritonserver.identity import PROC
from inference.tritonserver.processes import command_line, processes

# Measured while OpenVINO loads a model: VGG16 takes 1.2 GB at its peak for 0.55 GB of files,
# EfficientNet-Lite0 0.18 GB for 0.02.
PEAK_PER_BYTE = 2.3
PROCESS_BYTES = 150 << 20
MEMINFO = Path("/proc/meminfo")


def require_memory(directories: list[Path], available: int, purpose: str) -> None:
    """Refuse to load these version directories if they do not fit. Raises DeployError."""
    needed = sum(needed_for(directory) for directory in directories)
    if needed > available:
        raise DeployError(
            f"{purpose} takes about {math.ceil(needed / 1e6)} MB of memory, but only"
            f" {available // 10**6} MB are available: free some, raise the limit, or"
            " unload another model first"
        )


def needed_for(version: Path) -> int:
    """Estimate the bytes a version takes at the peak of its loading."""
    return int(size_of(version) * PEAK_PER_BYTE) + PROCESS_BYTES


def size_of(directory: Path) -> int:
    """Add up the bytes of all files below a directory."""
    return sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())


def membership_of(http_port: int) -> Path:
    """Find the file that names the cgroups of this machine's Triton; ours if it cannot be seen.

    The limit that counts is the server's: a deployment often runs outside its container.
    """
    for pid in processes():
        program, *arguments = command_line(pid) or [""]
        if Path(program).name == "tritonserver" and f"--http-port={http_port}" in arguments:
            return PROC / str(pid) / "cgroup"
    return SELF


def available_memory(meminfo: Path = MEMINFO, root: Path = CGROUPS, membership: Path = SELF) -> int:
    """Return the bytes that can still be used: the least that the machine or a cgroup leaves."""
    machine = 0
    for line in meminfo.read_text().splitlines():
        if line.startswith("MemAvailable:"):
            machine = int(line.split()[1]) << 10
    groups = enclosing(root / "memory", membership, "memory") + enclosing(root, membership, "")
    left = map(_left, groups)
    return min([machine, *(bytes_left for bytes_left in left if bytes_left is not None)])


def _left(group: Path) -> int | None:
    """Return what a cgroup's limit leaves, counting its idle page cache as free; None: no limit."""
    for limit, usage in (
        ("memory.max", "memory.current"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        try:
            allowed, used = int((group / limit).read_text()), int((group / usage).read_text())
        except (OSError, ValueError):  # not this version of cgroups, or "max": no limit
            continue
        return max(0, allowed - used + _idle_cache(group))
    return None


def _idle_cache(group: Path) -> int:
    try:
        lines = (group / "memory.stat").read_text().splitlines()
    except OSError:
        return 0
    fields = dict(line.split() for line in lines)
    return int(fields.get("total_inactive_file", fields.get("inactive_file", 0)))
