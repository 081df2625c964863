"""MINE (Belghazi et al. 2018): a lower bound on the information I(X; Y) between an image and its code.

A statistics network T(x, y) = ⟨f(x), g(y)⟩ is fitted on training images by the Donsker-Varadhan bound, with
pairs of one image against pairs of different images. The bound is then evaluated on held-out images. Because
T is an inner product, all N² pairs of N images are scored by one matrix product.

The code is a function of the image, so the true information is the entropy of the code: far more than any
sample can show. What is measured is how much of it a small network finds in N images, and that is at most
log N (`honest_bound`). Of two encoders measured on the same images, the one with the higher value has the
code that is more easily told from the codes of other images; near log N, nearly every image is told by its
code.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from training.data.views import to_unit
from training.evaluation.measures.donsker_varadhan import MovingAverageLoss, honest_bound
from training.evaluation.measures.figure import Figure
from training.evaluation.measures.fitting import FitSchedule, fit, parts
from training.evaluation.measures.inputs import Layers, MeasureInputs
from training.recipe import OptimiserRecipe
from training.system.signals import Interruption

_UNITS, _HIDDEN = 128, 256
_CHANNELS = (32, 64, 128)
_SCHEDULE = FitSchedule(12, OptimiserRecipe(learning_rate=2e-3, weight_decay=1e-2))
_ROWS_AT_ONCE = 1_000


class StatisticsNetwork(nn.Module):
    """T(x, y) = ⟨f(x), g(y)⟩ / √U of every pair.

    Args:
        left: x [B, ...] to [B, U].
        right: y [B, ...] to [B, U].
    """

    def __init__(self, left: nn.Module, right: nn.Module) -> None:
        super().__init__()
        self.left, self.right = left, right

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Score x [A, ...] against y [B, ...]: [A, B]."""
        f, g = self.left(x), self.right(y)
        scores: Tensor = f @ g.T / math.sqrt(f.shape[1])
        return scores


def measure(inputs: MeasureInputs) -> list[Figure]:
    """Estimate MINE between the images and their codes."""
    code = inputs.code
    mean, scale = code.training.mean(dim=0), code.training.std(dim=0).clamp_min(1e-4)
    torch.manual_seed(inputs.seed)
    network = StatisticsNetwork(_of_images(inputs.test.pixels.shape[1]), _of_vectors(code.test.shape[1]))
    pixels = Layers(torch.from_numpy(inputs.training.pixels[:]), torch.from_numpy(inputs.test.pixels[:]))
    standardised = Layers((code.training - mean) / scale, (code.test - mean) / scale)
    nats = mutual_information(
        network, pixels, standardised, seed=inputs.seed, interruption=inputs.interruption
    )
    return [
        Figure(
            measure="mine",
            name="I(X; Y) of image and code",
            value=nats,
            unit="nats",
            limit=math.log(len(code.test)),
            images=len(code.test),
        )
    ]


def mutual_information(
    network: StatisticsNetwork,
    x: Layers,
    y: Layers,
    *,
    seed: int,
    interruption: Interruption,
    schedule: FitSchedule = _SCHEDULE,
) -> float:
    """Fit the network on training pairs, and give the bound on held-out pairs, in nats.

    Args:
        network: untrained.
        x, y: row n of both belongs together.
        seed: of the choice of a validation part and of the batches.
        interruption: the request to stop, checked before every step.
        schedule: of the fit.

    Raises:
        Stopped: a stop was requested.
    """
    fitted, chosen = parts(len(x.training), seed)
    descend = MovingAverageLoss()

    def loss(rows: Tensor) -> Tensor:
        scores = network(x.training[rows], y.training[rows])
        own = torch.eye(len(rows), dtype=torch.bool)
        return descend(scores.diagonal(), scores.masked_fill(own, -math.inf))

    def score() -> float:
        return bound(network, x.training[chosen], y.training[chosen])

    fit(network, fitted, loss, score, schedule, seed=seed, title="mine", interruption=interruption)
    return bound(network, x.test, y.test)


@torch.no_grad()
def bound(network: StatisticsNetwork, x: Tensor, y: Tensor) -> float:
    """Compute the honest bound on N pairs in nats, with all N (N - 1) pairs of different images."""
    f = torch.cat([network.left(rows) for rows in x.split(_ROWS_AT_ONCE)])
    g = torch.cat([network.right(rows) for rows in y.split(_ROWS_AT_ONCE)])
    f = f / math.sqrt(f.shape[1])
    joint = (f * g).sum(dim=1)

    def others() -> Iterator[Tensor]:
        for start in range(0, len(f), _ROWS_AT_ONCE):
            scores = f[start : start + _ROWS_AT_ONCE] @ g.T
            scores.diagonal(start).fill_(-math.inf)
            yield scores

    return honest_bound(joint, others())


class _Centred(nn.Module):
    """uint8 [B, H, W, 3] to float32 [B, 3, H, W] of about -2 to 2."""

    def forward(self, images: Tensor) -> Tensor:
        return (to_unit(images) - 0.5) * 4


def _of_images(side: int) -> nn.Sequential:
    """Map uint8 [B, side, side, 3] to [B, U]: strided convolutions and a hidden layer."""
    layers: list[nn.Module] = [_Centred()]
    channels = 3
    for width in _CHANNELS:
        layers += [nn.Conv2d(channels, width, 4, 2, 1), nn.BatchNorm2d(width), nn.ReLU()]
        channels, side = width, side // 2
    return nn.Sequential(
        *layers,
        nn.AdaptiveAvgPool2d(min(side, 4)),
        nn.Flatten(),
        nn.Linear(channels * min(side, 4) ** 2, _HIDDEN),
        nn.ReLU(),
        nn.Linear(_HIDDEN, _UNITS),
    )


def _of_vectors(dimensions: int) -> nn.Sequential:
    """Map float32 [B, D] to [B, U]."""
    return nn.Sequential(nn.Linear(dimensions, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, _UNITS))
