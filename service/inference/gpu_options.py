"""GPU options: the settings, and the names that ONNX Runtime's providers have for them.

The names and values are those of onnxruntime.ai/docs/execution-providers, pages CUDA and TensorRT.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

from service.errors import SettingsError
from service.settings import Arena, CudnnSearch, Settings

_ARENAS = {"same_as_requested": "kSameAsRequested", "next_power_of_two": "kNextPowerOfTwo"}


@dataclass(frozen=True)
class GpuOptions:
    """Options of one process's GPU; every field is the setting of that name.

    Attributes:
        gpu_id: number of the device among those that CUDA_VISIBLE_DEVICES shows.
        gpu_memory_bytes: limit of the provider's arena in bytes; None for no limit. Weights and cuDNN's
            workspaces count; the CUDA context (some hundred MB) does not.
        gpu_arena: how much the arena grows at a time.
        cudnn_search: how cuDNN chooses a convolution's algorithm. `exhaustive` times them all for each batch
            size during the warm-up.
        io_binding: inputs and outputs lie in device buffers that are made once for each batch size.
        cuda_graphs: the kernels of each batch size are recorded once and launched as one. This includes
            `io_binding`.
        tensorrt_cache: folder for TensorRT's engines, whose build takes minutes for each model.
        tensorrt_fp16: TensorRT computes in half precision. The outputs change slightly; a model whose
            self-test does not allow that is refused.
    """

    gpu_id: int = 0
    gpu_memory_bytes: int | None = None
    gpu_arena: Arena = "same_as_requested"
    cudnn_search: CudnnSearch = "heuristic"
    io_binding: bool = False
    cuda_graphs: bool = False
    tensorrt_cache: Path | None = None
    tensorrt_fp16: bool = False

    @classmethod
    def of(cls, settings: Settings) -> "GpuOptions":
        """Read the options from the settings.

        Raises:
            SettingsError: I/O binding or CUDA graphs with several batches at a time.
        """
        cache = settings.tensorrt_cache
        if cache is None and settings.device == "tensorrt":
            cache = settings.data_dir / "tensorrt"
        options = cls(
            settings.gpu_id,
            settings.gpu_memory_bytes,
            settings.gpu_arena,
            settings.cudnn_search,
            settings.io_binding,
            settings.cuda_graphs,
            cache,
            settings.tensorrt_fp16,
        )
        if options.bound and settings.runs > 1:
            name = "CUDA_GRAPHS" if settings.cuda_graphs else "IO_BINDING"
            raise SettingsError(
                f"INFOMAX_{name} with INFOMAX_RUNS={settings.runs} is not allowed: the buffers hold one "
                f"batch at a time. Set INFOMAX_RUNS=1, or leave INFOMAX_{name} out."
            )
        return options

    @property
    def bound(self) -> bool:
        """Whether runs use I/O binding."""
        return self.io_binding or self.cuda_graphs

    @property
    def asked(self) -> dict[str, object]:
        """Options that differ from their defaults, by the settings' names."""
        default = asdict(GpuOptions())
        chosen = {name: value for name, value in asdict(self).items() if value != default[name]}
        return {name: str(value) if isinstance(value, Path) else value for name, value in chosen.items()}

    def cuda(self) -> dict[str, str]:
        """Return the options of the CUDA provider."""
        options = {
            "device_id": str(self.gpu_id),
            "arena_extend_strategy": _ARENAS[self.gpu_arena],
            "cudnn_conv_algo_search": self.cudnn_search.upper(),
            # TF32 would move the outputs away from the card's.
            "use_tf32": "0",
            "enable_cuda_graph": str(int(self.cuda_graphs)),
        }
        if self.gpu_memory_bytes is not None:
            options["gpu_mem_limit"] = str(self.gpu_memory_bytes)
        return options

    def tensorrt(self) -> dict[str, str]:
        """Return the options of the TensorRT provider."""
        options = {
            "device_id": str(self.gpu_id),
            "trt_fp16_enable": str(int(self.tensorrt_fp16)),
            "trt_cuda_graph_enable": str(int(self.cuda_graphs)),
        }
        if self.tensorrt_cache is not None:
            folder = str(self.tensorrt_cache)
            options |= {
                "trt_engine_cache_enable": "1",
                "trt_engine_cache_path": folder,
                # Measurements of kernels are kept too, and shared by the batch sizes.
                "trt_timing_cache_enable": "1",
                "trt_timing_cache_path": folder,
            }
        return options
