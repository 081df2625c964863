"""Results of a run as a picture: rates beside their limit, and latencies."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bench.serving.contenders import OURS
from bench.serving.results import Results, Spread
from bench.serving.rounds import IDLE
from bench.serving.table import images_of

_OURS, _PEER, _LIMIT = "#1f6f8b", "#b8c4c9", "#c0392b"


def draw(results: Results, path: Path) -> None:
    """Write a PNG with a row of two charts for each scenario of single requests."""
    names = [name for name in results.scenarios() if name != IDLE and not name.startswith("stream")]
    figure = Figure(figsize=(10, 2.6 * len(names)), layout="constrained")
    FigureCanvasAgg(figure)
    charts = figure.subplots(len(names), 2, squeeze=False)
    for (rates, latencies), name in zip(charts, names, strict=True):
        _rates(rates, results, name)
        _latencies(latencies, results, name)
    figure.suptitle(
        f"{results.model['id']} ({results.model['precision']}) on {results.machine['cores']} cores"
    )
    figure.savefig(path, dpi=120)


def _rates(chart: Axes, results: Results, scenario: str) -> None:
    spreads = {
        contender: Spread.of([one.rate for one in results.of(contender, scenario)])
        for contender in results.contenders(scenario)
    }
    _bars(chart, spreads)
    limit = results.limit(images_of(scenario)).median
    chart.axvline(limit, color=_LIMIT, linestyle="--", label=f"limit {limit:,.0f}")
    chart.legend(loc="lower right")
    chart.set(title=scenario, xlabel="images per second; median, least and most", xlim=(0, 1.08 * limit))


def _latencies(chart: Axes, results: Results, scenario: str) -> None:
    spreads = {
        contender: Spread.of([one.p99_ms or 0 for one in results.of(contender, scenario)])
        for contender in results.contenders(scenario)
    }
    _bars(chart, spreads)
    chart.set(title=scenario, xlabel="99th percentile, milliseconds; less is better")


def _bars(chart: Axes, spreads: dict[str, Spread]) -> None:
    names = list(reversed(spreads))
    medians = [spreads[name].median for name in names]
    errors = [
        [spreads[name].median - spreads[name].least for name in names],
        [spreads[name].most - spreads[name].median for name in names],
    ]
    colours = [_OURS if name == OURS else _PEER for name in names]
    chart.barh(names, medians, xerr=errors, color=colours, capsize=3)
