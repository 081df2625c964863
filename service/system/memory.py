"""How much memory this process and its children may use."""

import shutil
from pathlib import Path

import psutil

from service.system.cgroup import MEMBERSHIP, ROOT, own_groups, read

_SHARED = Path("/dev/shm")  # noqa: S108


def total_bytes() -> int:
    """The machine's memory, or the cgroup's limit where that is less."""
    total = int(psutil.virtual_memory().total)
    return min([total, *(limit for limit, _ in _groups(ROOT, MEMBERSHIP))])


def available_bytes() -> int:
    """What may still be used: of the machine's memory, and of the cgroup's limit."""
    available = int(psutil.virtual_memory().available)
    return max(0, min([available, *(limit - used for limit, used in _groups(ROOT, MEMBERSHIP))]))


def shared_bytes() -> int:
    """Room for memory that processes share; a container's is small unless it was given more."""
    try:
        return shutil.disk_usage(_SHARED).free
    except OSError:
        return available_bytes()


def _groups(root: Path, membership: Path) -> list[tuple[int, int]]:
    """Limit and use of each group that has a limit, in bytes; cached files do not count as used."""
    found = []
    for folder in own_groups("memory", root, membership):
        limit = read(folder / "memory.max") or read(folder / "memory.limit_in_bytes")
        used = read(folder / "memory.current") or read(folder / "memory.usage_in_bytes")
        # Version 1 says "no limit" by a number that no machine has.
        if limit is None or not limit.isdecimal() or int(limit) > 2**60 or used is None:
            continue
        found.append((int(limit), max(0, int(used) - _cached(folder))))
    return found


def _cached(folder: Path) -> int:
    for line in (read(folder / "memory.stat") or "").splitlines():
        name, _, value = line.partition(" ")
        if name in ("inactive_file", "total_inactive_file"):
            return int(value)
    return 0
