"""How many CPU cores and how much memory this process may use, its container's limits included.

Docker and Kubernetes limit a container by time, not by cores: with `--cpus 2` on a machine of 64
cores the system still shows 64, and 64 batches side by side would only wait for each other. Nor
does the system show the memory that a container is ended for.
https://docs.kernel.org/admin-guide/cgroup-v2.html (cpu.max, memory.max), and for the older tree of
groups https://docs.kernel.org/scheduler/sched-bwc.html (cpu.cfs_quota_us, cpu.cfs_period_us) and
https://docs.kernel.org/admin-guide/cgroup-v1/memory.html (memory.limit_in_bytes)
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
    limits = [_core_limit(group) for group in _groups(cgroups, membership, "cpu")]
    return min([found, *(max(1, math.ceil(limit)) for limit in limits if limit is not None)])


def memory(cgroups: Path = CGROUPS, membership: Path = MEMBERSHIP) -> int:
    """Return the bytes of memory that this process may use at most, used ones included.

    Args:
        cgroups: see `cores`.
        membership: see `cores`.
    """
    found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = [_memory_limit(group) for group in _groups(cgroups, membership, "memory")]
    return min([found, *(limit for limit in limits if limit is not None)])


def _groups(cgroups: Path, membership: Path, controller: str) -> list[Path]:
    """Return where the limits of this process's group stand, and of those that it lies in."""
    try:
        lines = os.fsdecode(membership.read_bytes()).splitlines()
    except OSError:  # not Linux
        return []
    found: list[Path] = []
    for line in lines:
        number, controllers, own = (*line.split(":", 2), "", "")[:3]
        for tree in _trees(cgroups, number, controllers, controller):
            # Within a container the path may be the host's, of which nothing is to be seen here.
            groups = [tree / own.lstrip("/"), *(tree / own.lstrip("/")).parents]
            found += [group for group in groups if group.is_relative_to(tree)]
    return found


def _trees(cgroups: Path, number: str, controllers: str, controller: str) -> list[Path]:
    """Return where the groups of one line of the membership file lie."""
    if number == "0":  # version 2, alone or beside version 1
        return [cgroups, cgroups / "unified"]
    if controller in controllers.split(","):
        return [cgroups / controller, cgroups / controllers]
    return []


def _core_limit(group: Path) -> float | None:
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


def _memory_limit(group: Path) -> int | None:
    """Return a group's limit in bytes; None where it has none."""
    for name in ("memory.max", "memory.limit_in_bytes"):
        try:
            return int((group / name).read_text())
        except (OSError, ValueError):  # no such limit, or "max"
            continue
    return None
