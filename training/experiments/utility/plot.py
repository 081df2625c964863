"""`utility.png`: accuracy against labels, and what pretraining is worth beside it."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

from training.experiments.utility.cells import METHODS, PRETRAINED, TITLES, Method
from training.experiments.utility.curve import UtilityCurve
from training.experiments.utility.points import Point

FILE = "utility.png"
# Blue, vermilion and black of Okabe and Ito (2008), which colour-blind readers tell apart.
_COLOURS: dict[Method, str] = {"linear": "#0072B2", "fine_tuned": "#D55E00", "scratch": "#000000"}
_MARKERS: dict[Method, str] = {"linear": "o", "fine_tuned": "s", "scratch": "D"}
# Points of several curves at one number of labels stand beside each other.
_ASIDE = {"linear": 0.97, "fine_tuned": 1.03, "scratch": 1.0}


def draw(curve: UtilityCurve, path: Path) -> None:
    """Plot the curve into a PNG file.

    Left: mean accuracy over the seeds with their standard deviation. Right: U(n) of the mean curves, bars
    over the range of the seeds; a triangle is a bound, beyond which U(n) lies.

    Raises:
        ValueError: no point of the curve is complete.
    """
    points = curve.points
    if not points:
        raise ValueError("no number of labels is complete, so there is nothing to draw")
    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    _accuracies(left, points)
    _utilities(right, points)
    for axes in (left, right):
        _label_axis(axes, [point.labels for point in points])
    left.set_ylabel(f"right of {curve.subject.test_images} test images, %")
    left.set_title("Accuracy", fontsize=10)
    right.set_ylabel("U(n) = n̂ / n - 1")
    right.set_title("Labels that pretraining saves, for each one given", fontsize=10)
    figure.savefig(path, dpi=110)


def _accuracies(axes: Axes, points: tuple[Point, ...]) -> None:
    for method in METHODS:
        spreads = [point.accuracy[method] for point in points]
        axes.errorbar(
            [point.labels * _ASIDE[method] for point in points],
            [100 * spread.mean for spread in spreads],
            yerr=[100 * (spread.deviation or 0.0) for spread in spreads],
            color=_COLOURS[method],
            marker=_MARKERS[method],
            markersize=4,
            linewidth=1.2,
            capsize=2,
            label=TITLES[method],
        )
    axes.legend(fontsize=8, frameon=False, loc="lower right")


def _utilities(axes: Axes, points: tuple[Point, ...]) -> None:
    axes.axhline(0, color=_COLOURS["scratch"], linewidth=1)
    bounds = {"exactly": "o", "more than": "^", "fewer than": "v"}
    for method in PRETRAINED:
        colour = _COLOURS[method]
        places = [point.labels * _ASIDE[method] for point in points]
        values = [point.worth[method].utility for point in points]
        axes.plot(places, values, color=colour, linewidth=1.2, label=TITLES[method])
        for point, place, value in zip(points, places, values, strict=True):
            worth = point.worth[method]
            each = [one.utility(point.labels) for one in worth.by_seed]
            axes.vlines(place, min(each), max(each), color=colour, linewidth=1)
            axes.plot(place, value, bounds[worth.equivalent.bound], color=colour, markersize=6)
    shown = {point.worth[method].equivalent.bound for point in points for method in PRETRAINED}
    for bound, marker, meaning in (("more than", "^", "at least"), ("fewer than", "v", "at most")):
        if bound in shown:
            axes.plot([], [], marker, color="#777777", label=meaning)
    axes.legend(fontsize=8, frameon=False, loc="upper right")


def _label_axis(axes: Axes, counts: list[int]) -> None:
    axes.set_xscale("log")
    axes.set_xticks(counts, [f"{count:,}" for count in counts])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("labels")
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)
