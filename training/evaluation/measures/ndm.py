"""The neural dependency measure: how much the dimensions of a code depend on one another.

A discriminator T tells codes from codes whose every dimension was shuffled across images by itself (Brakel
and Bengio 2017). The Donsker-Varadhan bound of T on held-out codes is a lower bound on the divergence between
the two (Hjelm et al. 2019, where it is called NDM). That divergence is the total correlation
KL(p(y) ‖ Π_d p(y_d)) in nats, 0 for independent dimensions. The bound is at most log N (`honest_bound`).

Total correlation does not change when a dimension is transformed by itself, so each is first made normal by
its ranks in the training codes. Then the part that correlations account for needs no network: it is T(y) =
-½ yᵀ(R⁻¹ - I)y - ½ log det R, the log ratio of a Gaussian with the correlations R. The discriminator starts
there, and a network adds what a Gaussian misses.

The mean of that T over held-out codes is a figure of its own. The mean of its e^T over independent normal
dimensions is 1 and need not be sampled. So it is a lower bound that log N does not limit, and it orders
encoders whose dependence is beyond log N. It rests on normal marginals, which held-out codes have up to
ranks.
"""

import math

import torch
from torch import Generator, Tensor, nn

from training.evaluation.measures.donsker_varadhan import MovingAverageLoss, honest_bound
from training.evaluation.measures.figure import Figure
from training.evaluation.measures.fitting import FitSchedule, fit, parts
from training.evaluation.measures.inputs import Layers, MeasureInputs
from training.recipe import OptimiserRecipe
from training.system.signals import Interruption

_HIDDEN = 256
_SCHEDULE = FitSchedule(20, OptimiserRecipe(learning_rate=1e-3, weight_decay=1e-2))
_SHUFFLES = 16
# Keeps the inverse finite when one dimension copies another: their correlation counts as 1 - this.
_RIDGE = 1e-3


class Discriminator(nn.Module):
    """T(y): the log ratio of a Gaussian with correlations R to its marginals, and a network that starts at 0.

    Args:
        correlation: R, float32 [D, D].
    """

    def __init__(self, correlation: Tensor) -> None:
        super().__init__()
        dimensions = len(correlation)
        regular = (1 - _RIDGE) * correlation.double() + _RIDGE * torch.eye(dimensions)
        half_form = (torch.eye(dimensions) - torch.linalg.inv(regular)) / 2
        self.register_buffer("half_form", half_form.float())
        self.register_buffer("offset", (-torch.logdet(regular) / 2).float())
        self.half_form: Tensor
        self.offset: Tensor
        last = nn.Linear(_HIDDEN, 1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.rest = nn.Sequential(
            nn.Linear(dimensions, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, _HIDDEN), nn.ReLU(), last
        )

    def gaussian(self, y: Tensor) -> Tensor:
        """Return the Gaussian part alone, [B, D] to [B]."""
        return ((y @ self.half_form) * y).sum(dim=1) + self.offset

    def forward(self, y: Tensor) -> Tensor:
        """Map [B, D] to [B]."""
        scores: Tensor = self.gaussian(y) + self.rest(y).squeeze(1)
        return scores


def measure(inputs: MeasureInputs) -> list[Figure]:
    """Measure the total correlation of the code."""
    code = inputs.code
    bound, gaussian = total_correlation(code, seed=inputs.seed, interruption=inputs.interruption)
    images = len(code.test)
    return [
        Figure(
            measure="ndm",
            name="total correlation of the code",
            value=bound,
            unit="nats",
            limit=math.log(images),
            images=images,
        ),
        Figure(
            measure="ndm", name="its Gaussian part, unlimited", value=gaussian, unit="nats", images=images
        ),
    ]


def total_correlation(
    code: Layers, *, seed: int, interruption: Interruption, schedule: FitSchedule = _SCHEDULE
) -> tuple[float, float]:
    """Fit and compute the honest bound and its Gaussian part, both on held-out codes, in nats.

    Raises:
        Stopped: a stop was requested.
    """
    fitted, chosen = parts(len(code.training), seed)
    known, asked = normal_scores(code.training, code.training), normal_scores(code.training, code.test)
    torch.manual_seed(seed)
    generator = Generator().manual_seed(seed)
    discriminator = Discriminator(_correlation(known[fitted]))
    descend = MovingAverageLoss()

    def loss(rows: Tensor) -> Tensor:
        y = known[rows]
        return descend(discriminator(y), discriminator(shuffled(y, generator)))

    def score() -> float:
        return _bound(discriminator, known[chosen], seed)

    fit(discriminator, fitted, loss, score, schedule, seed=seed, title="ndm", interruption=interruption)
    return _bound(discriminator, asked, seed), float(discriminator.gaussian(asked).double().mean())


@torch.no_grad()
def _bound(discriminator: Discriminator, y: Tensor, seed: int) -> float:
    generator = Generator().manual_seed(seed)
    return honest_bound(discriminator(y), (discriminator(shuffled(y, generator)) for _ in range(_SHUFFLES)))


def shuffled(y: Tensor, generator: Generator) -> Tensor:
    """Shuffle each dimension of [B, D] by itself."""
    return y.gather(0, torch.rand(y.shape, generator=generator).argsort(dim=0))


def normal_scores(reference: Tensor, values: Tensor) -> Tensor:
    """Map each dimension so that the reference's is standard normal, equal values onto equal ones.

    Args:
        reference: float32 [N, D].
        values: float32 [M, D].

    Returns:
        float32 [M, D] between -z and z, where z grows with N.
    """
    ordered, columns = reference.T.sort(dim=1).values.contiguous(), values.T.contiguous()
    below = torch.searchsorted(ordered, columns)
    not_above = torch.searchsorted(ordered, columns, right=True)
    quantile = ((below + not_above) / 2 + 0.5) / (len(reference) + 1)
    scores: Tensor = torch.special.ndtri(quantile.double()).float().T.contiguous()
    return scores


def _correlation(y: Tensor) -> Tensor:
    """Correlate normal scores [N, D], whose mean is 0; a constant dimension depends on nothing."""
    length = y.square().sum(dim=0).sqrt().clamp_min(1e-6)
    correlation: Tensor = (y / length).T @ (y / length)
    correlation.fill_diagonal_(1.0)
    return correlation
