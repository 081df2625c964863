"""Which execution provider runs the model, and an honest report of it.

`get_available_providers` says what a wheel was built with, and a session that cannot load CUDA falls
back to the CPU with no more than a line on stderr. So a GPU counts as working only after a session
that may not fall back has answered a batch on it.
"""

import multiprocessing
import os
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from importlib.metadata import distributions
from pathlib import Path
from typing import Literal

import numpy as np
import onnxruntime as ort
from prometheus_client.multiprocess import mark_process_dead

from service.errors import SettingsError
from service.inference.gpu_options import GpuOptions
from service.inference.io_binding import BoundSession
from service.inference.precision import PrecisionChoice
from service.system import gpu

Device = Literal["auto", "cpu", "cuda", "tensorrt"]
CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
_WARNING, _SILENT = 2, 4
_FELL_BACK = "ONNX Runtime could not load its CUDA provider and fell back to the CPU."
_NO_TENSORRT = "ONNX Runtime could not load its TensorRT provider; install the libraries of TensorRT 10."
_DEFAULT = GpuOptions()


@dataclass(frozen=True)
class NodeShare:
    """How many of the model's nodes one provider runs."""

    provider: str
    nodes: int


@dataclass(frozen=True)
class ExecutionReport:
    """What runs the model.

    Attributes:
        requested: the setting `device`.
        active: the provider that runs the encoder, as its loaded session names it.
        providers: all providers of that session, in order of preference.
        nodes: nodes of encoder and critic by provider, most first.
        why_not_gpu: reason in one sentence, where a GPU was allowed and does not run.
        gpu_asked: settings of the GPU that are not as they are by default.
        gpu_active: options of the provider that runs the encoder, as its loaded session states them, and how
            its runs are made; empty on a CPU.
        runtime: distribution and version of ONNX Runtime.
        threads_per_run: CPU threads that share one batch.
        precision: of the encoder, and why; the critic is always fp32.
    """

    requested: Device
    active: str
    providers: tuple[str, ...]
    nodes: tuple[NodeShare, ...]
    why_not_gpu: str | None
    gpu_asked: Mapping[str, object]
    gpu_active: Mapping[str, object]
    runtime: str
    threads_per_run: int
    precision: PrecisionChoice

    @property
    def on_gpu(self) -> bool:
        return self.active != CPU

    @property
    def summary(self) -> str:
        """A header's worth of it, such as `CPUExecutionProvider; nodes=29/29; precision=int8`."""
        own = sum(share.nodes for share in self.nodes if share.provider == self.active)
        nodes = sum(share.nodes for share in self.nodes)
        return f"{self.active}; nodes={own}/{nodes}; precision={self.precision.active}"


@dataclass(frozen=True)
class Placement:
    """Where to run, decided: on a GPU that was seen to work, or on the CPU and why."""

    requested: Device
    on_gpu: bool
    why_not_gpu: str | None = None
    options: GpuOptions = field(default_factory=GpuOptions)

    @property
    def providers(self) -> list[tuple[str, dict[str, str]]]:
        """What ONNX Runtime is asked for, with options, in order of preference."""
        if not self.on_gpu:
            return [(CPU, {})]
        first = [(TENSORRT, self.options.tensorrt())] if self.requested == "tensorrt" else []
        return [*first, (CUDA, self.options.cuda()), (CPU, {})]


def place(device: Device, encoder: Path, options: GpuOptions = _DEFAULT) -> Placement:
    """Decide where to run, by running the encoder on the GPU where one is allowed.

    Raises:
        SettingsError: the GPU was demanded and does not work, or an option is for another device.
    """
    _check_options(device, options)
    if device == "cpu":
        return Placement(device, on_gpu=False)
    placement = Placement(device, on_gpu=True, options=options)
    reason = gpu.obstacle() or _obstacle(placement) or _strict_run_fails(encoder, placement)
    if reason is None:
        return placement
    if device != "auto":
        what = "no GPU works" if device == "cuda" else "TensorRT does not run"
        raise SettingsError(f"INFOMAX_DEVICE={device}, but {what}. {reason} Or set INFOMAX_DEVICE=auto.")
    return Placement(device, on_gpu=False, why_not_gpu=reason, options=options)


def place_in_child(device: Device, encoder: Path, options: GpuOptions = _DEFAULT) -> Placement:
    """`place` in a process of its own, for a parent that must not hold a GPU context itself."""
    if device == "cpu":
        return place(device, encoder, options)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=spawn) as pool:
        return pool.submit(_place_unseen, device, encoder, options).result()


def _place_unseen(device: Device, encoder: Path, options: GpuOptions) -> Placement:
    """`place`, in a process that shows no metrics.

    A child of the running service inherits the folder of the workers' metrics and, by loading them, begins
    every gauge there at 0: the service would look as if one of its workers were not ready.
    """
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        mark_process_dead(os.getpid())  # type: ignore[no-untyped-call]
    return place(device, encoder, options)


def open_session(graph: Path, placement: Placement, threads: int) -> ort.InferenceSession:
    """Load one graph where the placement says, each run on `threads` CPU threads."""
    if placement.requested == "tensorrt" and placement.options.tensorrt_cache is not None:
        placement.options.tensorrt_cache.mkdir(parents=True, exist_ok=True)
    return ort.InferenceSession(str(graph), _options(threads), providers=placement.providers)


def bound(session: ort.InferenceSession, placement: Placement) -> ort.InferenceSession | BoundSession:
    """The session, with buffers of its own on the GPU where they are asked for and it runs there."""
    options = placement.options
    if not options.bound or session.get_providers()[0] == CPU:
        return session
    return BoundSession(session, "cuda", options.gpu_id, graphs=options.cuda_graphs)


def report(
    placement: Placement,
    encoder: ort.InferenceSession,
    critic: ort.InferenceSession,
    threads: int,
    precision: PrecisionChoice,
) -> ExecutionReport:
    """What two loaded sessions run on, by their own word and not by what they were asked for.

    Raises:
        SettingsError: the GPU was demanded, and one of the sessions fell back to the CPU after all.
    """
    why_not_gpu = placement.why_not_gpu
    wanted = placement.providers[0][0]
    if placement.on_gpu and {encoder.get_providers()[0], critic.get_providers()[0]} != {wanted}:
        why_not_gpu = _fell_back(placement)
        if placement.requested != "auto":
            raise SettingsError(f"INFOMAX_DEVICE={placement.requested}, but no GPU works. {why_not_gpu}")
    providers = tuple(encoder.get_providers())
    return ExecutionReport(
        requested=placement.requested,
        active=providers[0],
        providers=providers,
        nodes=node_shares(encoder, critic),
        why_not_gpu=why_not_gpu,
        gpu_asked=placement.options.asked,
        gpu_active=_active_options(encoder, placement.options),
        runtime=" and ".join(runtimes()),
        threads_per_run=threads,
        precision=precision,
    )


def node_shares(*sessions: ort.InferenceSession) -> tuple[NodeShare, ...]:
    """Nodes by provider over all sessions, as ONNX Runtime assigned them, most first."""
    count: Counter[str] = Counter()
    for session in sessions:
        for part in session.get_provider_graph_assignment_info():
            count[part.ep_name] += len(part.get_nodes())
    return tuple(NodeShare(provider, nodes) for provider, nodes in count.most_common())


def runtimes() -> tuple[str, ...]:
    """Every installed distribution that puts files into the package `onnxruntime`; one is right."""
    found = {
        f"{distribution.name} {distribution.version}"
        for distribution in distributions()
        if distribution.name == "onnxruntime" or distribution.name.startswith("onnxruntime-")
        if any(file.parts[0] == "onnxruntime" for file in distribution.files or ())
    }
    return tuple(sorted(found))


def _options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    # Threads that spin between batches take the cores from decoding and from the neighbours.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    return options


def _check_options(device: Device, options: GpuOptions) -> None:
    """Refuse options that would have no effect, whatever the machine is."""
    for name in options.asked:
        variable = f"INFOMAX_{name.upper()}"
        if device == "cpu":
            raise SettingsError(
                f"{variable} is for a GPU, and INFOMAX_DEVICE=cpu uses none; leave it out, or set another "
                "device."
            )
        if name.startswith("tensorrt") and device != "tensorrt":
            raise SettingsError(
                f"{variable} is for TensorRT, and INFOMAX_DEVICE={device} does not use it; leave it out, or "
                "set INFOMAX_DEVICE=tensorrt."
            )


def _obstacle(placement: Placement) -> str | None:
    """What stands against these options where there is a GPU, as far as it shows without loading a model."""
    if placement.requested == "tensorrt" and TENSORRT not in ort.get_available_providers():
        return f"ONNX Runtime {ort.__version__} was built without TensorRT; install onnxruntime-gpu instead."
    found, number = gpu.driver(), placement.options.gpu_id
    if isinstance(found, gpu.Driver) and number >= len(found.devices):
        return (
            f"INFOMAX_GPU_ID={number} does not exist: the driver shows {len(found.devices)} to this process, "
            "counted from 0."
        )
    return None


def _fell_back(placement: Placement) -> str:
    return _NO_TENSORRT if placement.requested == "tensorrt" else _FELL_BACK


def _active_options(session: ort.InferenceSession, options: GpuOptions) -> dict[str, object]:
    active = session.get_providers()[0]
    if active == CPU:
        return {}
    stated: dict[str, object] = session.get_provider_options()[active]
    return {**stated, "io_binding": options.bound, "cuda_graphs": options.cuda_graphs}


def _strict_run_fails(encoder: Path, placement: Placement) -> str | None:
    """Run the encoder once on a session that must not fall back; the reason if that fails.

    A model with nodes that only the CPU can run is not refused: then a session that has loaded CUDA,
    by its own word, has to answer.
    """
    # A session that records its runs wants them bound; whether it may record shows when the model is loaded.
    placement = replace(placement, options=replace(placement.options, cuda_graphs=False))
    wanted, _ = placement.providers[0]
    strict = _options(threads=1)
    strict.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    # What goes wrong here is the answer to a question and no warning for a log.
    ort.set_default_logger_severity(_SILENT)
    try:
        try:
            session = ort.InferenceSession(str(encoder), strict, providers=placement.providers[:-1])
        except Exception:
            session = open_session(encoder, placement, threads=1)
        if session.get_providers()[0] != wanted:
            return _fell_back(placement)
        image = session.get_inputs()[0]
        session.run(None, {image.name: np.zeros((1, *image.shape[1:]), np.uint8)})
    except Exception as error:
        return f"The encoder does not run on the GPU ({error!r})."
    finally:
        ort.set_default_logger_severity(_WARNING)
    return None
