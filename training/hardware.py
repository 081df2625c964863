"""What a run was computed on, in words for the card."""

import os
import platform
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")


def hardware() -> str:
    """The processor's name and the cores that this process may use."""
    # Not on every system is a process confined to some of the cores.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return f"{_processor()}, {cores} {'core' if cores == 1 else 'cores'}"


def _processor() -> str:
    """Linux names the model in a file; elsewhere Python knows as much as there is."""
    if _CPUINFO.is_file():
        for line in _CPUINFO.read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
