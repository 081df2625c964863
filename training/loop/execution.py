"""Where and how a run computes: device, precision, compilation. None of it belongs to a recipe."""

import ctypes
import os
import shutil
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from training.distributed import ranks
from training.errors import TrainingError
from training.system.hardware import hardware

Precision = Literal["float32", "bfloat16"]

# <malloc.h> of glibc.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


@dataclass(frozen=True)
class Execution:
    """Device, precision and compilation of a run.

    Attributes:
        device: of this process.
        precision: of convolutions and products in the encoder and the critics' networks. Weights, scores,
            estimators and optimisers are float32 in either case.
        compiled: whether the encoder is compiled (torch.compile).
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    precision: Precision = "float32"
    compiled: bool = False

    def autocast(self) -> AbstractContextManager[None]:
        """Return the block in which products take the chosen precision."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bfloat16")

    def send(self, tensor: Tensor) -> Tensor:
        """Send a tensor to the device; the copy runs beside the computation where that is possible."""
        if self.device.type != "cuda":
            return tensor
        return tensor.pin_memory().to(self.device, non_blocking=True)

    def describe(self) -> str:
        """Describe hardware and number of processes in words, for the card."""
        parts = [torch.cuda.get_device_name(self.device)] if self.device.type == "cuda" else []
        parts.append(hardware())
        if ranks.count() > 1:
            parts.append(f"{ranks.count()} processes")
        return ", ".join(parts)


def precision_option(precision: Precision) -> str:
    """Write the option that a command line needs to compute in that precision; empty for float32."""
    return "" if precision == "float32" else f" --precision {precision}"


def choose(device: str, precision: str, *, compiled: bool) -> Execution:
    """Choose device and precision by the command line's options, if this machine has them.

    Args:
        device: "auto" (a GPU where PyTorch sees one), "cpu" or "cuda".
        precision: "auto" (bfloat16 on a GPU, else float32), "float32" or "bfloat16".
        compiled: compile the encoder.

    Raises:
        TrainingError: it cannot.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "cuda" and not gpus:
        raise TrainingError(
            f"--device cuda: PyTorch {torch.__version__} sees no GPU here; install a build for CUDA and a "
            "driver, or use --device cpu."
        )
    on_gpu = device == "cuda" or (device == "auto" and gpus > 0)
    if on_gpu and ranks.local() >= gpus:
        raise TrainingError(
            f"Process {ranks.local() + 1} of this machine finds {gpus} GPU(s); start one process for each, "
            "or use --device cpu."
        )
    if compiled and shutil.which(os.environ.get("CXX", "g++")) is None:
        raise TrainingError(
            f"--compile needs a C++ compiler, and there is no {os.environ.get('CXX', 'g++')}; install one "
            "or leave --compile out."
        )
    narrow = precision == "bfloat16" or (precision == "auto" and on_gpu)
    chosen: Precision = "bfloat16" if narrow else "float32"
    return Execution(torch.device("cuda", ranks.local()) if on_gpu else torch.device("cpu"), chosen, compiled)


def prepare(execution: Execution) -> None:
    """Make this process compute deterministically, and no slower for it."""
    if execution.device.type == "cuda":
        # cuBLAS is deterministic only with workspaces of its own; read when CUDA starts.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.cuda.set_device(execution.device)
    torch.use_deterministic_algorithms(True)
    # Nothing here reads memory before writing it; filling every new tensor costs 5 % of a step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # the stub lacks it
    keep_freed_memory()


def keep_freed_memory() -> None:
    """Let the allocator keep what is freed: a step frees and asks for the same large blocks again and again.

    glibc gives them back to the system each time and takes page faults for them in the next step, a tenth of
    a step's time. Other allocators are left as they are.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, -1)
