"""Decision where a model runs, as processes send it to each other; taken in `service.inference.providers`."""

from dataclasses import dataclass, field
from typing import Literal

from service.inference.gpu_options import GpuOptions

RequestedDevice = Literal["auto", "cpu", "cuda", "tensorrt"]
CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"


@dataclass(frozen=True)
class DeviceChoice:
    """Decision where to run: on a GPU that was seen to work, or on the CPU and why."""

    requested: RequestedDevice
    on_gpu: bool
    why_not_gpu: str | None = None
    options: GpuOptions = field(default_factory=GpuOptions)

    @property
    def providers(self) -> list[tuple[str, dict[str, str]]]:
        """Providers that ONNX Runtime is asked for, with options, in order of preference."""
        if not self.on_gpu:
            return [(CPU, {})]
        first = [(TENSORRT, self.options.tensorrt())] if self.requested == "tensorrt" else []
        return [*first, (CUDA, self.options.cuda()), (CPU, {})]
