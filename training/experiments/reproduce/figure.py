"""The comparison as a picture: a panel for each layer, a row for each method."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from contract.counts import counted
from training.experiments.reproduce.experiments import EXPERIMENTS
from training.experiments.reproduce.probing import LAYERS, PROBES
from training.experiments.reproduce.quoted import PAPER
from training.experiments.reproduce.result import Result

_MARKERS = dict(zip(PROBES, "os^d", strict=True))
_DPI = 130


def draw(results: Sequence[Result], path: Path) -> None:
    """Draw finished experiments, at least one, into a PNG file."""
    heights = np.arange(len(results))[::-1]
    figure = Figure(figsize=(11, 1.6 + 0.3 * len(results)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(LAYERS), sharey=True)
    for column, (layer, panel) in enumerate(zip(LAYERS, axes, strict=True)):
        for probe, marker in _MARKERS.items():
            accuracies = [100 * one.accuracy(layer, probe) for one in results]
            panel.plot(accuracies, heights, marker, markersize=5, alpha=0.8, label=probe)
        quoted = [
            (value, height)
            for one, height in zip(results, heights, strict=True)
            if (value := PAPER.get(one.name, (None, None, None))[column]) is not None
        ]
        label = "paper, 1,000 epochs (quoted from memory)"
        panel.plot(
            [value for value, _ in quoted], [height for _, height in quoted], "x", color="0.4", label=label
        )
        panel.set_title(layer)
        panel.grid(alpha=0.3)
    axes[0].set_yticks(heights, [EXPERIMENTS[one.name].method for one in results])
    budget = results[0].budget
    figure.supxlabel(
        f"accuracy on the test images, % ({budget.images:,} training images, "
        f"{counted(budget.epochs, 'epoch')}, seed {budget.seed})",
        fontsize=9,
    )
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), fontsize=8)
    figure.savefig(path, dpi=_DPI)
