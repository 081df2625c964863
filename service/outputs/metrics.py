"""Content of `/metrics`: the metrics of this process, or of all processes that share them."""

import multiprocessing
import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry, Metric, ProcessCollector
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector


def registry() -> CollectorRegistry:
    """Return the registry to read now; every scrape needs a new one, because the processes change."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if folder is None:
        return REGISTRY
    shared = CollectorRegistry()
    MultiProcessCollector(shared, folder)  # type: ignore[no-untyped-call]
    shared.register(_ProcessCollector(Path(folder)))
    return shared


class _ProcessCollector(Collector):
    """Collector of `process_...` metrics (CPU, memory, descriptors) of parent and workers, by `pid`."""

    def __init__(self, folder: Path) -> None:
        # The parent removes the gauges of dead workers, so a process that has some is alive.
        parent = multiprocessing.parent_process()
        workers = {int(path.stem.rsplit("_", 1)[1]) for path in folder.glob("gauge_live*_*.db")}
        self._pids = sorted(workers | {os.getpid() if parent is None else os.getppid()})

    def collect(self) -> Iterable[Metric]:
        families: dict[str, Metric] = {}
        for pid in self._pids:
            for metric in ProcessCollector(pid=partial(str, pid), registry=None).collect():
                family = families.setdefault(
                    metric.name, Metric(metric.name, metric.documentation, metric.type)
                )
                for sample in metric.samples:
                    family.add_sample(sample.name, {**sample.labels, "pid": str(pid)}, sample.value)
        return families.values()
