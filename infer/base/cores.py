"""How many CPU cores this process may use: its affinity, and its container's share of time.

Docker and Kubernetes limit a container by time, not by cores: with `--cpus 2` on a machine of 64
cores the system still shows 64, and 64 batches side by side would only wait for each other.
https://docs.kernel.org/admin-guide/cgroup-v2.html (cpu.max)
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
    own = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), "")
    groups = [cgroups / own, *(cgroups / own).parents]
    limits = (_limit(group / "cpu.max") for group in groups if group.is_relative_to(cgroups))
    return [limit for limit in limits if limit is not None]


def _limit(path: Path) -> float | None:
    """Read `max 100000`, or a quota and a period in microseconds."""
    try:
        quota, period = map(int, path.read_text().split())
    except (OSError, ValueError):  # no such limit
        return None
    return quota / period if period else None
