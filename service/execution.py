"""Which execution provider runs the model, and an honest report of it."""

from dataclasses import dataclass


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
        active: first provider of the loaded session, such as `CPUExecutionProvider`.
        providers: all providers of the loaded session, in order of preference.
        nodes: nodes of encoder and critic by provider.
        why_not_gpu: reason in one sentence, where a GPU was allowed and does not run.
        runtime: distribution and version of ONNX Runtime.
        threads_per_run: CPU threads that share one batch.
    """

    requested: str
    active: str
    providers: tuple[str, ...]
    nodes: tuple[NodeShare, ...]
    why_not_gpu: str | None
    runtime: str
    threads_per_run: int
