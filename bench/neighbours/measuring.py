"""Measurement of one engine: `python -m bench.neighbours.measuring NAME DATA FOLDER`, a process of its own.

It needs NumPy, psutil and the engine alone, so that it runs in the peers' environment too.
"""

import json
import sys
from importlib import import_module
from pathlib import Path
from time import perf_counter

import numpy as np
import psutil
from numpy.typing import NDArray

from bench.neighbours.engine import FIELDS, Engine
from bench.neighbours.engines import ENGINES
from bench.neighbours.vectors import CASES, Case, Data, read

_WARM_UP = 20


def measure(engine: Engine, data: Data, folder: Path) -> dict[str, object]:
    """Build, search, and close; return the figures, as the table has them."""
    before = memory_bytes()
    times = engine.build(data.vectors, data.labels)
    searches = {
        case.name: _search(engine, data, case) for case in CASES if case.field is None or engine.filters
    }
    memory = memory_bytes() - before
    engine.close()
    return {
        "load_seconds": round(times.load, 2),
        "index_seconds": round(times.index, 2),
        "items_per_second": round(len(data.vectors) / times.load),
        "memory_bytes": memory,
        "disk_bytes": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        "searches": searches,
    }


def recall(found: list[int], truth: NDArray[np.int64], k: int) -> float:
    """Return the share of the true neighbours among the first k that were found."""
    true = set(truth[:k].tolist()) - {-1}
    return len(true & set(found[:k])) / len(true) if true else 1.0


def memory_bytes() -> int:
    """Return the memory of this process and all below it; a page that several share counts once."""
    process = psutil.Process()
    total = 0
    for one in (process, *process.children(recursive=True)):
        try:
            info = one.memory_full_info()
        except psutil.Error:
            continue
        total += getattr(info, "pss", info.uss)
    return total


def _search(engine: Engine, data: Data, case: Case) -> dict[str, float]:
    """Search one query after the other; the first ones warm the engine up and do not count."""
    column = None if case.field is None else FIELDS.index(case.field)
    recalls, seconds = [], []
    for turn in range(-_WARM_UP, len(data.queries)):
        place = turn % len(data.queries)
        value = 0 if column is None else int(data.wanted[place, column])
        started = perf_counter()
        found = engine.search(data.queries[place], case.k, case.field, value)
        took = perf_counter() - started
        if turn >= 0:
            seconds.append(took)
            recalls.append(recall(found, data.truth[case.name][place], case.k))
    p50, p95 = np.quantile(seconds, (0.5, 0.95))
    return {
        "recall": round(float(np.mean(recalls)), 4),
        "p50_ms": round(1000 * float(p50), 2),
        "p95_ms": round(1000 * float(p95), 2),
    }


def main(name: str, data_folder: Path, folder: Path) -> None:
    """Measure an engine; print the figures as JSON in the last line."""
    module, _, class_name = ENGINES[name].place.partition(":")
    data = read(data_folder)
    engine: Engine = getattr(import_module(module), class_name)(folder, data.vectors.shape[1])
    print(json.dumps(measure(engine, data, folder)))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
