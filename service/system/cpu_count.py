"""Number of processor cores that this process may use."""

import math
import os
from pathlib import Path

from service.system.cgroup import MEMBERSHIP, ROOT, own_groups, read


def usable_cores() -> int:
    """Count the cores of the affinity mask, at most as many as the cgroup's CPU quota pays for.

    A quota limits a container, and `os.cpu_count` ignores it: a pool of that size on a large host spends the
    quota on switching between threads. A fraction of a core counts as one.
    """
    quota = cgroup_quota(ROOT, MEMBERSHIP)
    allowed = _affinity()
    return allowed if quota is None else max(1, min(allowed, math.ceil(quota)))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cgroup_quota(root: Path, membership: Path) -> float | None:
    """Read the CPU seconds per second that the cgroup (version 2 or 1) allows; None for no limit.

    Args:
        root: mount point of the cgroup file system.
        membership: the process's `/proc/self/cgroup`.
    """
    quotas = [
        quota
        for folder in own_groups("cpu", root, membership)
        if (quota := _quota_v2(folder) or _quota_v1(folder)) is not None
    ]
    return min(quotas, default=None)


def _quota_v2(folder: Path) -> float | None:
    text = read(folder / "cpu.max")
    if text is None or text.startswith("max"):
        return None
    quota, period = text.split()
    return int(quota) / int(period)


def _quota_v1(folder: Path) -> float | None:
    quota, period = read(folder / "cpu.cfs_quota_us"), read(folder / "cpu.cfs_period_us")
    if quota is None or period is None or int(quota) <= 0:
        return None
    return int(quota) / int(period)
