"""How many CPUs this process may use: the cgroup's quota, not the host's cores."""

import math
import os
from pathlib import Path

from gateway.cgroups import CGROUPS, SELF, enclosing


def available_cpus(root: Path = CGROUPS, membership: Path = SELF) -> int:
    """Count the CPUs that affinity and all cgroup quotas allow, rounded up; at least 1."""
    quotas = [_v2(group) for group in enclosing(root, membership, "")]
    quotas += [_v1(group) for group in enclosing(root / "cpu", membership, "cpu")]
    known = [quota for quota in quotas if quota is not None]
    return max(1, min([len(os.sched_getaffinity(0)), *(math.ceil(quota) for quota in known)]))


def _v2(group: Path) -> float | None:
    """Read a quota from `cpu.max`: "150000 100000" is 1.5 CPUs."""
    try:
        quota, period = (group / "cpu.max").read_text().split()
        return int(quota) / int(period)
    except (OSError, ValueError):  # "max": no quota
        return None


def _v1(group: Path) -> float | None:
    """Read a quota from `cpu.cfs_quota_us`; -1 is none."""
    try:
        quota = int((group / "cpu.cfs_quota_us").read_text())
        period = int((group / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return None
    return quota / period if quota > 0 and period > 0 else None
