"""Results of a run as a picture: the rate of the step beside the bare encoder's."""

from pathlib import Path
from statistics import median

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bench.training.results import Results, Timing

_BARS = (
    ("bare encoder, forward and backward", "bare", "#b8c4c9"),
    ("whole training step", "step", "#1f6f8b"),
)
_HEIGHT = 0.38


def draw(results: Results, path: Path) -> None:
    """Write a PNG with two bars for each recipe; whiskers reach to the least and the greatest."""
    recipes = results.recipes()
    figure = Figure(figsize=(9, 1.2 + 0.9 * len(recipes)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    places = np.arange(len(recipes), dtype=float)
    for number, (label, part, colour) in enumerate(_BARS):
        rates = [_rates(results.of(recipe), part) for recipe in recipes]
        middles = [median(each) for each in rates]
        whiskers = [
            [middle - min(each) for middle, each in zip(middles, rates, strict=True)],
            [max(each) - middle for middle, each in zip(middles, rates, strict=True)],
        ]
        axes.barh(
            places + number * _HEIGHT, middles, _HEIGHT, xerr=whiskers, color=colour, label=label, capsize=3
        )
    axes.set_yticks(places + _HEIGHT / 2, recipes)
    axes.invert_yaxis()
    axes.set(xlabel="images per second; median, least and most", title="Training")
    axes.legend()
    figure.savefig(path, dpi=120)


def _rates(timings: list[Timing], part: str) -> list[float]:
    return [one.images / getattr(one, part) for one in timings]
