"""Figures of docs/mathematics.md: `make figures`.

Information of Gaussians is known in closed form, so a perfect critic can be written down. What the figures
show is therefore due to the estimators of training and to the bank alone.
"""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import typer
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Generator, Tensor

from training.model.estimators import build_estimator

IMAGES = Path(__file__).parent / "images"
DIMENSIONS = 8
_DPI = 130


class Spread(NamedTuple):
    """Mean and standard deviation over draws."""

    mean: float
    deviation: float


def correlation(nats: float, dimensions: int = DIMENSIONS) -> float:
    """Compute the correlation of each component for which two Gaussian vectors share so many nats."""
    return math.sqrt(1 - math.exp(-2 * nats / dimensions))


def pairs(count: int, nats: float, generator: Generator) -> tuple[Tensor, Tensor]:
    """Draw `count` pairs of vectors, float64 [count, D] each, that share so many nats."""
    rho = correlation(nats)
    x, noise = torch.randn(2, count, DIMENSIONS, generator=generator, dtype=torch.float64)
    return x, rho * x + math.sqrt(1 - rho**2) * noise


def log_ratio(x: Tensor, y: Tensor, nats: float) -> Tensor:
    """Compute log p(x, y) / p(x) p(y) of all pairs: [A, D] and [B, D] to [A, B]."""
    rho = correlation(nats, x.shape[-1])
    squares = x.square().sum(1)[:, None] + y.square().sum(1)[None, :]
    form = (rho**2 * squares - 2 * rho * x @ y.T) / (2 * (1 - rho**2))
    return -x.shape[-1] * math.log(1 - rho**2) / 2 - form


def bound(estimator: str, nats: float, batch: int, draws: int = 20) -> Spread:
    """Measure an estimator's bound with a perfect critic, over batches of pairs."""
    generator = Generator().manual_seed(0)
    found = []
    for _ in range(draws):
        scores = log_ratio(*pairs(batch, nats, generator), nats).unsqueeze(2)
        value = build_estimator(estimator).bound(scores)
        assert value is not None  # noqa: S101 (callers name those that have one)
        found.append(value.item())
    return Spread(float(np.mean(found)), float(np.std(found)))


def nats_by_bank(nats: float, bank: int, patches: int = 2_000) -> Spread:
    """Read the mean map value that a bank of so many codes gives for joint pairs; the truth is `nats`."""
    generator = Generator().manual_seed(0)
    x, y = pairs(patches, nats, generator)
    own = log_ratio(x, y, nats).diagonal()
    codes = torch.randn(bank, DIMENSIONS, generator=generator, dtype=torch.float64)
    value = own - log_ratio(x, codes, nats).logsumexp(1) + math.log(bank)
    return Spread(value.mean().item(), value.std().item())


def main() -> None:
    """Draw the figures."""
    IMAGES.mkdir(exist_ok=True)
    _save(_pointwise(), "mathematics-pointwise")
    _save(_bounds(), "mathematics-bounds")
    _save(_bank(), "mathematics-bank")


def _pointwise() -> Figure:
    nats, side = 0.5, torch.linspace(-3, 3, 241, dtype=torch.float64)
    values = log_ratio(side[:, None], side[:, None], nats).numpy()
    figure, axes = _figure(4.6, 3.8)
    norm = TwoSlopeNorm(0, vmin=-6, vmax=2)
    drawn = axes.pcolormesh(side.numpy(), side.numpy(), values.T, norm=norm, cmap="RdBu_r", rasterized=True)
    axes.contour(side.numpy(), side.numpy(), _density(side, nats), colors="black", linewidths=0.6)
    figure.colorbar(drawn, ax=axes, label="pointwise information, nats", ticks=[-6, -4, -2, 0, 1, 2])
    axes.set(xlabel="x", ylabel="y", aspect="equal")
    return figure


def _density(side: Tensor, nats: float) -> NDArray[np.float64]:
    independent = -(side[:, None] ** 2 + side[None, :] ** 2) / 2
    joint: NDArray[np.float64] = (log_ratio(side[:, None], side[:, None], nats) + independent).exp().numpy().T
    return joint


def _bounds() -> Figure:
    truth = np.linspace(0.25, 10, 25)
    figure, axes = _figure(6.2, 3.8)
    axes.plot(truth, truth, color="black", linewidth=0.8, label="true")
    for estimator, batch, colour in (
        ("infonce", 64, "tab:blue"),
        ("infonce", 1024, "tab:cyan"),
        ("dv", 64, "tab:orange"),
        ("kl", 64, "tab:red"),
    ):
        found = [bound(estimator, nats, batch) for nats in truth.tolist()]
        _band(axes, truth, found, f"{estimator}, batch of {batch:,}", colour)
        if estimator == "infonce":
            axes.axhline(math.log(batch), color=colour, linewidth=0.6, linestyle="dashed")
    axes.set(xlabel="true information, nats", ylabel="estimate, nats", ylim=(-1, 14))
    axes.legend(fontsize="small", frameon=False)
    return figure


def _bank() -> Figure:
    truth = np.linspace(0.25, 10, 20)
    figure, axes = _figure(6.2, 3.8)
    axes.plot(truth, truth, color="black", linewidth=0.8, label="true")
    for bank, colour in ((64, "tab:red"), (1024, "tab:blue"), (4096, "tab:cyan")):
        means = [nats_by_bank(nats, bank).mean for nats in truth.tolist()]
        axes.plot(truth, means, color=colour, label=f"bank of {bank:,} codes")
        axes.axvline(math.log(bank), color=colour, linewidth=0.6, linestyle="dashed")
    axes.set(xlabel="true information, nats", ylabel="mean of the map, nats")
    axes.legend(fontsize="small", frameon=False)
    return figure


def _band(axes: Axes, truth: NDArray[np.float64], found: list[Spread], label: str, colour: str) -> None:
    means, deviations = np.array(found).T
    axes.plot(truth, means, color=colour, label=label)
    axes.fill_between(truth, means - deviations, means + deviations, color=colour, alpha=0.2, linewidth=0)


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _save(figure: Figure, name: str) -> None:
    figure.savefig(IMAGES / f"{name}.png", dpi=_DPI, metadata={"Software": None})


if __name__ == "__main__":
    typer.run(main)
