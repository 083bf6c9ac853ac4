"""How many CPU cores this process may use: its affinity, and its container's share of time.

Docker and Kubernetes limit a container by time, not by cores: with `--cpus 2` on a machine of 64
cores the system still shows 64, and 64 batches side by side would only wait for each other.
https://docs.kernel.org/admin-guide/cgroup-v2.html (cpu.max), and for the older tree of groups
https://docs.kernel.org/scheduler/sched-bwc.html (cpu.cfs_quota_us and cpu.cfs_period_us)
"""

import math
import os
from pathlib import Path
from typing import Final

CGROUPS: Final = Path("/sys/fs/cgroup")
MEMBERSHIP: Final = Path("/proc/self/cgroup")


def cores(cgroups: Path = CGROUPS, membership: Path = MEMBERSHIP) -> int:
    """Return the CPU cores that this process may use, at least one; a part of a core counts whole.

    Args:
        cgroups: where the system shows the limits of its groups of processes.
        membership: the file that says which group this process is in.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    found = len(affinity(0)) if affinity else os.cpu_count() or 1
    return min([found, *(max(1, math.ceil(limit)) for limit in _limits(cgroups, membership))])


def _limits(cgroups: Path, membership: Path) -> list[float]:
    """Return the limits, in cores, of this process's group and of those that it lies in."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:  # not Linux
        return []
    found = []
    for line in lines:
        number, controllers, own = line.split(":", 2)
        for tree in _trees(cgroups, number, controllers):
            # Within a container the path may be the host's, of which nothing is to be seen here.
            groups = [tree / own.lstrip("/"), *(tree / own.lstrip("/")).parents]
            found += [_limit(group) for group in groups if group.is_relative_to(tree)]
    return [limit for limit in found if limit is not None]


def _trees(cgroups: Path, number: str, controllers: str) -> list[Path]:
    """Return where the groups of one line of the membership file lie."""
    if number == "0":  # version 2, alone or beside version 1
        return [cgroups, cgroups / "unified"]
    if "cpu" in controllers.split(","):
        return [cgroups / "cpu", cgroups / controllers]
    return []


def _limit(group: Path) -> float | None:
    """Return a group's quota over its period, both in microseconds; None where it has none."""
    try:
        if (group / "cpu.max").exists():
            quota, period = map(int, (group / "cpu.max").read_text().split())
        else:
            quota = int((group / "cpu.cfs_quota_us").read_text())
            period = int((group / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError):  # no such limit, or "max"
        return None
    return quota / period if period > 0 and quota > 0 else None
