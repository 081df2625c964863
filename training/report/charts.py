"""The report's charts: curves of the run, the map of the embeddings, variances of dimensions."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from numpy.typing import NDArray
from torch import Tensor

from training.report.shape import VectorShape
from training.report.theme import LIGHT, Chart, Theme, chart

# Colours of the first classes come back with the other shape.
_MARKERS = "o^"
_COLOURS = len(LIGHT.lines)
_MOST_CLASSES = 10
_BINS = 40
_FEW_POINTS = 12

Points = Sequence[dict[str, float]]


def loss_chart(points: Points) -> Chart | None:
    """Plot the loss over steps; None before the first was logged."""
    steps, losses = _series(points, "loss")
    if not steps:
        return None

    def draw(axes: Axes, theme: Theme) -> None:
        axes.plot(steps, losses, _line(steps), color=theme.lines[0], linewidth=1.4)
        axes.set_xlabel("step")
        axes.set_ylabel("loss")

    return chart(draw, f"Loss over {steps[-1]:,.0f} steps, from {losses[0]:.2f} to {losses[-1]:.2f}.")


def bound_chart(points: Points, terms: Sequence[str], caps: dict[str, float]) -> Chart | None:
    """Plot bounds on mutual information over steps with their ceilings; None without any."""
    series = {term: _series(points, f"{term}_nats") for term in terms}
    series = {term: values for term, values in series.items() if values[0]}
    if not series:
        return None

    def draw(axes: Axes, theme: Theme) -> None:
        for (term, (steps, values)), colour in zip(series.items(), theme.lines, strict=False):
            axes.plot(steps, values, _line(steps), color=colour, linewidth=1.4, label=term)
        for cap in sorted(set(caps.values())):
            axes.axhline(cap, color=theme.ink, linewidth=1, linestyle=(0, (4, 3)))
        if caps:
            axes.plot(
                [], [], color=theme.ink, linewidth=1, linestyle=(0, (4, 3)), label="ceiling, log of pairs"
            )
        axes.set_xlabel("step")
        axes.set_ylabel("nats")
        axes.set_ylim(bottom=0)
        axes.legend(fontsize=8, frameon=False, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1))

    last = ", ".join(f"{term} {values[-1]:.2f}" for term, (_, values) in series.items())
    return chart(draw, f"Lower bounds on mutual information in nats over steps; at the end {last}.")


def neighbour_chart(points: Points) -> Chart | None:
    """Plot the accuracy of neighbours on held-out images over steps; None without labels."""
    steps, values = _series(points, "knn_fc")
    if not steps:
        return None

    def draw(axes: Axes, theme: Theme) -> None:
        axes.plot(steps, [100 * value for value in values], _line(steps), color=theme.lines[2], linewidth=1.4)
        axes.set_xlabel("step")
        axes.set_ylabel("right of 20 neighbours, %")

    return chart(draw, f"Accuracy of neighbours while training, at the end {values[-1]:.1%}.")


class LegendEntry(NamedTuple):
    """One class of a map: its name, the number of its colour (None: the grey one), and its marker."""

    name: str
    colour: int | None
    triangle: bool


class MapChart(NamedTuple):
    """A map of images with its legend, which is text of the page: no plot's font has every script."""

    chart: Chart
    legend: tuple[LegendEntry, ...]


def map_chart(vectors: Tensor, labels: NDArray[np.int64] | None, names: Sequence[str]) -> MapChart:
    """Plot the vectors [N, D] on their two principal axes, coloured by class where there are labels."""
    places, share = principal_axes(vectors)
    groups = _groups(labels, names, len(vectors))
    legend = tuple(
        LegendEntry(name, None if rest else number % _COLOURS, number // _COLOURS > 0)
        for number, (name, _, rest) in enumerate(groups)
    )

    def draw(axes: Axes, theme: Theme) -> None:
        for entry, (_, rows, _) in zip(legend, groups, strict=True):
            colour = theme.grid if entry.colour is None else theme.lines[entry.colour]
            marker = _MARKERS[entry.triangle]
            axes.scatter(places[rows, 0], places[rows, 1], s=11, color=colour, marker=marker, linewidths=0)
        axes.set_xlabel("first principal axis")
        axes.set_ylabel("second")
        axes.set_xticklabels([])
        axes.set_yticklabels([])

    classes = "" if labels is None else f", coloured by {len(names)} classes"
    alt = (
        f"Embeddings of {len(vectors)} held-out images on two principal axes{classes}; they show {share:.0%}."
    )
    return MapChart(chart(draw, alt, (6.4, 4.4)), () if labels is None else legend)


def principal_axes(vectors: Tensor) -> tuple[NDArray[np.float32], float]:
    """Project vectors [N, D] on two principal axes: places [N, 2], and the share of variance they show."""
    centred = vectors - vectors.mean(dim=0)
    _, singular, axes = torch.linalg.svd(centred, full_matrices=False)
    share = singular[:2].square().sum() / singular.square().sum().clamp_min(1e-12)
    return (centred @ axes[:2].T).numpy(), float(share)


def variance_chart(layer: str, shape: VectorShape) -> Chart:
    """Plot how much each dimension varies over images, relative to the mean one."""
    relative = shape.variances / shape.variances.mean().clamp_min(1e-12)
    logs = relative.clamp_min(1e-5).log10().numpy()

    def draw(axes: Axes, theme: Theme) -> None:
        axes.hist(logs, bins=_BINS, range=(-5, 2), color=theme.lines[0])
        axes.set_xticks(range(-5, 3), ["≤ 10⁻⁵", "10⁻⁴", "10⁻³", "0.01", "0.1", "1", "10", "100"])
        axes.set_xlabel("variance relative to the mean dimension")
        axes.set_ylabel("dimensions")

    alt = (
        f"Histogram of the variances of the {len(logs)} dimensions of {layer}: effective rank "
        f"{shape.rank:.0f} of {shape.directions}, {shape.dead:.0%} dead."
    )
    return chart(draw, alt)


def _line(steps: Sequence[float]) -> str:
    """Choose a line's style: a few points are marked, since one alone makes no line."""
    return "o-" if len(steps) <= _FEW_POINTS else "-"


def _series(points: Points, name: str) -> tuple[list[float], list[float]]:
    found = [(point["step"], point[name]) for point in points if name in point]
    return [step for step, _ in found], [value for _, value in found]


def _groups(
    labels: NDArray[np.int64] | None, names: Sequence[str], count: int
) -> list[tuple[str, NDArray[np.int64], bool]]:
    """Group rows by the most frequent classes; the rest are one group, marked as such."""
    if labels is None:
        return [("images", np.arange(count), False)]
    kinds, counts = np.unique(labels, return_counts=True)
    most = sorted(kinds[np.argsort(-counts, kind="stable")][:_MOST_CLASSES])
    groups = [(names[kind], np.flatnonzero(labels == kind), False) for kind in most]
    rest = np.flatnonzero(~np.isin(labels, most))
    return [*groups, ("others", rest, True)] if len(rest) else groups
