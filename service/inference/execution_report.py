"""Report of what runs a model: provider, nodes, options and precision, as the loaded sessions state them."""

import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import metadata
from pathlib import Path

import onnxruntime as ort

from service.errors import SettingsError
from service.inference.device_choice import CPU, DeviceChoice, RequestedDevice
from service.inference.gpu_options import GpuOptions
from service.inference.precision import PrecisionChoice
from service.inference.providers import fallback_reason


@dataclass(frozen=True)
class NodeShare:
    """Number of the model's nodes that one provider runs."""

    provider: str
    nodes: int


@dataclass(frozen=True)
class ExecutionReport:
    """Report of what runs the model.

    Attributes:
        requested: the setting `device`.
        active: the provider that runs the encoder, as its loaded session names it.
        providers: all providers of that session, in order of preference.
        nodes: nodes of encoder and critic by provider, most first.
        why_not_gpu: reason in one sentence, where a GPU was allowed and does not run.
        gpu_asked: GPU settings that differ from their defaults.
        gpu_active: options of the provider that runs the encoder, as its loaded session states them, with
            I/O binding and CUDA graphs; empty on a CPU.
        runtime: distribution and version of ONNX Runtime.
        threads_per_run: CPU threads that share one batch.
        precision: precision of the encoder, and why; the critic is always fp32.
    """

    requested: RequestedDevice
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

    @cached_property
    def summary(self) -> str:
        """Summary for a header, such as `CPUExecutionProvider; nodes=29/29; precision=int8`."""
        own = sum(share.nodes for share in self.nodes if share.provider == self.active)
        nodes = sum(share.nodes for share in self.nodes)
        return f"{self.active}; nodes={own}/{nodes}; precision={self.precision.active}"


def report(
    device: DeviceChoice,
    encoder: ort.InferenceSession,
    critic: ort.InferenceSession,
    threads: int,
    precision: PrecisionChoice,
) -> ExecutionReport:
    """Report what two loaded sessions run on, as they state it.

    Raises:
        SettingsError: the GPU was demanded, and one of the sessions fell back to the CPU after all.
    """
    why_not_gpu = device.why_not_gpu
    wanted = device.providers[0][0]
    if device.on_gpu and {encoder.get_providers()[0], critic.get_providers()[0]} != {wanted}:
        why_not_gpu = fallback_reason(device)
        if device.requested != "auto":
            raise SettingsError(f"INFOMAX_DEVICE={device.requested} is set, but no GPU works. {why_not_gpu}")
    providers = tuple(encoder.get_providers())
    return ExecutionReport(
        requested=device.requested,
        active=providers[0],
        providers=providers,
        nodes=node_shares(encoder, critic),
        why_not_gpu=why_not_gpu,
        gpu_asked=device.options.asked,
        gpu_active=_active_options(encoder, device.options),
        runtime=" and ".join(runtimes()),
        threads_per_run=threads,
        precision=precision,
    )


def node_shares(*sessions: ort.InferenceSession) -> tuple[NodeShare, ...]:
    """Count the nodes of all sessions by provider, as ONNX Runtime assigned them, most first."""
    count: Counter[str] = Counter()
    for session in sessions:
        for part in session.get_provider_graph_assignment_info():
            count[part.ep_name] += len(part.get_nodes())
    return tuple(NodeShare(provider, nodes) for provider, nodes in count.most_common())


# What is installed stays while a process runs.
@cache
def runtimes() -> tuple[str, ...]:
    """List the installed distributions that put files into the package `onnxruntime`; one is right."""
    found = {
        f"{distribution.name} {distribution.version}"
        for distribution in map(metadata.distribution, _names_like("onnxruntime"))
        if any(file.parts[0] == "onnxruntime" for file in distribution.files or ())
    }
    return tuple(sorted(found))


def _names_like(package: str) -> set[str]:
    """Find the distributions called `package` or `package-…`, by the names of their folders alone.

    Reading what hundreds of distributions say of themselves takes as long as loading a model.
    """
    folders = (
        entry.stem
        for place in dict.fromkeys(sys.path)
        for entry in Path(place).glob(f"{package}*.*-info")
        if entry.suffix in (".dist-info", ".egg-info")
    )
    names = {folder.partition("-")[0].replace("_", "-") for folder in folders}
    return {name for name in names if name == package or name.startswith(f"{package}-")}


def _active_options(session: ort.InferenceSession, options: GpuOptions) -> dict[str, object]:
    active = session.get_providers()[0]
    if active == CPU:
        return {}
    stated: dict[str, object] = session.get_provider_options()[active]
    return {**stated, "io_binding": options.bound, "cuda_graphs": options.cuda_graphs}
