"""Machine that a measurement was made on."""

import platform
from datetime import UTC, datetime
from pathlib import Path

import onnxruntime
import PIL
import psutil

from bench.serving.load import tool
from bench.serving.model import cores

_CPU_INFO = Path("/proc/cpuinfo")


def describe() -> dict[str, object]:
    """Describe the machine for readers who compare."""
    return {
        "processor": _processor(),
        "cores": cores(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
        "pillow": PIL.__version__,
        "load_generator": tool(),
        "date": datetime.now(UTC).date().isoformat(),
    }


def _processor() -> str:
    if _CPU_INFO.is_file():
        for line in _CPU_INFO.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
