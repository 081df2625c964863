"""Choice of the device and the execution providers that run a model.

`get_available_providers` lists what a wheel was built with. A session that cannot load CUDA falls back to the
CPU with no more than a line on stderr. So a GPU counts as working only after a session that may not fall back
has answered a batch on it.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime as ort

from service.errors import SettingsError
from service.inference import cpu_arena
from service.inference.device_choice import CPU, TENSORRT, DeviceChoice, RequestedDevice
from service.inference.gpu_options import GpuOptions
from service.inference.io_binding import BoundSession
from service.system import gpu

_WARNING, _SILENT = 2, 4
_FELL_BACK = "ONNX Runtime could not load its CUDA provider and fell back to the CPU."
_NO_TENSORRT = "ONNX Runtime could not load its TensorRT provider; install the libraries of TensorRT 10."
_DEFAULT = GpuOptions()


def choose_device(requested: RequestedDevice, encoder: Path, options: GpuOptions = _DEFAULT) -> DeviceChoice:
    """Decide where to run, with a run of the encoder on the GPU where one is allowed.

    Raises:
        SettingsError: the GPU was demanded and does not work, or an option is for another device.
    """
    _check_options(requested, options)
    if requested == "cpu":
        return DeviceChoice(requested, on_gpu=False)
    choice = DeviceChoice(requested, on_gpu=True, options=options)
    reason = gpu.obstacle() or _obstacle(choice) or _strict_run_fails(encoder, choice)
    if reason is None:
        return choice
    if requested != "auto":
        what = "no GPU works" if requested == "cuda" else "TensorRT does not run"
        raise SettingsError(
            f"INFOMAX_DEVICE={requested} is set, but {what}. {reason} Or set INFOMAX_DEVICE=auto."
        )
    return DeviceChoice(requested, on_gpu=False, why_not_gpu=reason, options=options)


def open_session(graph: Path | bytes, device: DeviceChoice, threads: int) -> ort.InferenceSession:
    """Load one graph where the choice says; each run takes `threads` CPU threads."""
    if device.requested == "tensorrt" and device.options.tensorrt_cache is not None:
        device.options.tensorrt_cache.mkdir(parents=True, exist_ok=True)
    cpu_arena.share()
    source = graph if isinstance(graph, bytes) else str(graph)
    options = _options(threads)
    # It puts all tensors in one block, beside the blocks that the arena has already: 100 MB more for a batch
    # of 16 of `photos/1`, and on a CPU no time that shows.
    options.enable_mem_pattern = device.on_gpu
    session = ort.InferenceSession(source, options, providers=device.providers)
    if not device.on_gpu:
        # Kept for another attempt on other providers, and a CPU has none: as many bytes as the file has.
        session._model_bytes = None
    return session


def bound(session: ort.InferenceSession, device: DeviceChoice) -> ort.InferenceSession | BoundSession:
    """Return the session, with I/O binding where that is set and the session runs on the GPU."""
    options = device.options
    if not options.bound or session.get_providers()[0] == CPU:
        return session
    return BoundSession(session, "cuda", options.gpu_id, graphs=options.cuda_graphs)


def _options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    # Threads that spin between batches take the cores from decoding and from other workers.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    return options


def _check_options(device: RequestedDevice, options: GpuOptions) -> None:
    """Refuse options that would have no effect on any machine."""
    for name in options.asked:
        variable = f"INFOMAX_{name.upper()}"
        if device == "cpu":
            raise SettingsError(
                f"{variable} is for a GPU, and INFOMAX_DEVICE=cpu uses none. Leave it out, or set another "
                "device."
            )
        if name.startswith("tensorrt") and device != "tensorrt":
            raise SettingsError(
                f"{variable} is for TensorRT, and INFOMAX_DEVICE={device} does not use it. Leave it out, or "
                "set INFOMAX_DEVICE=tensorrt."
            )


def _obstacle(device: DeviceChoice) -> str | None:
    """Return why these options cannot work, in one sentence, as far as it shows without a model; or None."""
    if device.requested == "tensorrt" and TENSORRT not in ort.get_available_providers():
        return f"ONNX Runtime {ort.__version__} was built without TensorRT; install onnxruntime-gpu instead."
    found, number = gpu.driver(), device.options.gpu_id
    if isinstance(found, gpu.Driver) and number >= len(found.devices):
        return (
            f"INFOMAX_GPU_ID={number} does not exist: the driver shows {len(found.devices)} GPUs to this "
            "process, "
            "counted from 0."
        )
    return None


def fallback_reason(device: DeviceChoice) -> str:
    """Say that a session has fallen back to the CPU."""
    return _NO_TENSORRT if device.requested == "tensorrt" else _FELL_BACK


def _strict_run_fails(encoder: Path, device: DeviceChoice) -> str | None:
    """Run the encoder once on a session that must not fall back; return why that fails, or None.

    A model with nodes that only the CPU can run is not refused: a session that has loaded CUDA, as it states,
    has to answer then.
    """
    # A session that records its runs needs I/O binding; whether it can record shows when the model is loaded.
    device = replace(device, options=replace(device.options, cuda_graphs=False))
    wanted, _ = device.providers[0]
    strict = _options(threads=1)
    strict.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    # A failure here is an answer, and not a warning for the log.
    ort.set_default_logger_severity(_SILENT)
    try:
        try:
            session = ort.InferenceSession(str(encoder), strict, providers=device.providers[:-1])
        except Exception:
            session = open_session(encoder, device, threads=1)
        if session.get_providers()[0] != wanted:
            return fallback_reason(device)
        image = session.get_inputs()[0]
        session.run(None, {image.name: np.zeros((1, *image.shape[1:]), np.uint8)})
    except Exception as error:
        return f"The encoder does not run on the GPU ({error!r})."
    finally:
        ort.set_default_logger_severity(_WARNING)
    return None
