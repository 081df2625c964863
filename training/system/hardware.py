"""What a run was computed on, in words for the card."""

import os
import platform
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
# As Linux names them, the fastest first.
_INT8_INSTRUCTIONS = ("amx_int8", "avx512_vnni", "avx_vnni", "avx2")


def hardware() -> str:
    """Return the processor's name and the cores that this process may use."""
    # Not on every system is a process confined to some of the cores.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return f"{_name()}, {cores} {'core' if cores == 1 else 'cores'}"


def processor() -> str:
    """Name the processor and its best instructions for products of 8-bit numbers, where they are known."""
    flags = _cpuinfo("flags").split()
    best = next((name for name in _INT8_INSTRUCTIONS if name in flags), None)
    return _name() if best is None else f"{_name()} with {best}"


def _name() -> str:
    """Name the model: Linux has it in a file, elsewhere Python knows as much as there is."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def _cpuinfo(key: str) -> str:
    """Read a fact about the first processor from Linux; empty where there is none."""
    if _CPUINFO.is_file():
        for line in _CPUINFO.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == key:
                return value.strip()
    return ""
