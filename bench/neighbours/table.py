"""Table of the results, as Markdown."""

from collections.abc import Mapping
from typing import Any

from bench.neighbours.engines import ENGINES
from bench.neighbours.vectors import CASES

Results = Mapping[str, Any]


def markdown(results: Results) -> str:
    """Write the table; engines that could not be measured stand below it with the reason."""
    heads = [
        "engine",
        *(f"{case.name}: recall · p50 · p95" for case in CASES),
        "load",
        "index",
        "memory",
        "disk",
    ]
    lines = [
        f"{results['items']:,} x {results['dimensions']} vectors ({results['vectors']}), one client, "
        f"{results['queries']:,} queries; {results['machine']}",
        "",
        f"| {' | '.join(heads)} |",
        f"|{' --- |' * len(heads)}",
    ]
    for name, figures in results["engines"].items():
        cells = [
            f"{name} ({ENGINES[name].layout})",
            *(_search(figures["searches"].get(case.name)) for case in CASES),
        ]
        cells += [
            f"{figures['load_seconds']:,.0f} s",
            f"{figures['index_seconds']:,.0f} s",
            f"{figures['memory_bytes'] / 2**20:,.0f} MiB",
            f"{figures['disk_bytes'] / 2**20:,.0f} MiB",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    missing = [f"- {name}: {reason}" for name, reason in results["missing"].items()]
    return "\n".join([*lines, *(["", "Not measured:", *missing] if missing else [])]) + "\n"


def _search(figures: Mapping[str, float] | None) -> str:
    if figures is None:
        return "-"
    return f"{figures['recall']:.3f} · {figures['p50_ms']:.1f} ms · {figures['p95_ms']:.1f} ms"
