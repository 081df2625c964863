"""NVIDIA driver: version, devices and obstacles, read through its own library, without any CUDA package."""

import contextlib
import ctypes
import io
import sys
from dataclasses import dataclass

import onnxruntime as ort

from contract.extras import installation

_LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
_NAME_BYTES = 256


@dataclass(frozen=True)
class Driver:
    """A working NVIDIA driver.

    Attributes:
        cuda: newest CUDA version that it supports, (major, minor).
        devices: names of the GPUs that this process may use.
    """

    cuda: tuple[int, int]
    devices: tuple[str, ...]


def driver() -> Driver | str:
    """Return the driver and its devices, or the reason in one sentence why none works."""
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError as error:
        return f"No NVIDIA driver: {error}."
    status = library.cuInit(0)
    if status != 0:
        return f"The NVIDIA driver does not start (cuInit returned {status})."
    count, version = ctypes.c_int(), ctypes.c_int()
    library.cuDriverGetVersion(ctypes.byref(version))
    library.cuDeviceGetCount(ctypes.byref(count))
    if count.value == 0:
        return "The NVIDIA driver shows no GPU to this process."
    return Driver(
        cuda=(version.value // 1000, version.value % 1000 // 10),
        devices=tuple(_device_name(library, index) for index in range(count.value)),
    )


def _device_name(library: ctypes.CDLL, index: int) -> str:
    device, name = ctypes.c_int(), ctypes.create_string_buffer(_NAME_BYTES)
    library.cuDeviceGet(ctypes.byref(device), index)
    library.cuDeviceGetName(name, _NAME_BYTES, device)
    return name.value.decode(errors="replace")


def obstacle() -> str | None:
    """Return why CUDA cannot run here, in short sentences, as far as it shows without a model; or None.

    The CUDA and cuDNN libraries are loaded where they exist, and a later session finds them.
    """
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        return f"ONNX Runtime {ort.__version__} was built without CUDA; install onnxruntime-gpu instead."
    found = driver()
    if isinstance(found, str):
        return found
    needed = tuple(int(part) for part in ort.cuda_version.split(".")[:2])
    if found.cuda[0] < needed[0]:
        return (
            f"The NVIDIA driver supports CUDA {found.cuda[0]}.{found.cuda[1]}, "
            f"ONNX Runtime needs {ort.cuda_version}; update the driver."
        )
    missing = missing_libraries()
    if missing:
        return f"{missing[0]}. {installation('gpu')}"
    return None


def missing_libraries() -> list[str]:
    """Return one line for each CUDA library that cannot be loaded, as ONNX Runtime's loader reports it."""
    report = io.StringIO()
    with contextlib.redirect_stdout(report):
        ort.preload_dlls(directory="")
    return [line for line in report.getvalue().splitlines() if line.startswith("Failed to load")]
