"""MINE: the known information of Gaussians, and no more than the sample can show."""

import math

import numpy as np
import pytest
import torch
from torch import Generator, Tensor, nn

from tests.training.measured import encoder, images, inputs, noise
from training.evaluation.measures import mine
from training.evaluation.measures.donsker_varadhan import MovingAverageLoss, honest_bound
from training.evaluation.measures.fitting import FitSchedule, Stopped
from training.evaluation.measures.inputs import Layers
from training.recipe import OptimiserRecipe
from training.system.signals import Interruption

DIMENSIONS = 2
SCHEDULE = FitSchedule(20, OptimiserRecipe(learning_rate=5e-3), batch_size=128)


def gaussians(count: int, rho: float, seed: int) -> tuple[Tensor, Tensor]:
    """Pairs of vectors [N, D] whose components correlate by rho."""
    generator = Generator().manual_seed(seed)
    x, noise = torch.randn(2, count, DIMENSIONS, generator=generator)
    return x, rho * x + math.sqrt(1 - rho**2) * noise


def network() -> mine.StatisticsNetwork:
    torch.manual_seed(0)
    left, right = (
        nn.Sequential(nn.Linear(DIMENSIONS, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32))
        for _ in range(2)
    )
    return mine.StatisticsNetwork(left, right)


def estimate(rho: float, interruption: Interruption | None = None) -> float:
    (x, y), (held_x, held_y) = gaussians(3_000, rho, seed=1), gaussians(3_000, rho, seed=2)
    return mine.mutual_information(
        network(),
        Layers(x, held_x),
        Layers(y, held_y),
        seed=0,
        interruption=interruption or Interruption(),
        schedule=SCHEDULE,
    )


def test_the_known_information_of_gaussians() -> None:
    truth = -DIMENSIONS / 2 * math.log(1 - 0.8**2)
    value = estimate(0.8)
    assert value == pytest.approx(truth, abs=0.12)
    # A bound from below, up to what a sample of 3,000 varies by.
    assert value < truth + 0.03


def test_independent_variables_share_nothing() -> None:
    assert estimate(0.0) == pytest.approx(0, abs=0.01)


def test_a_seed_fixes_the_estimate() -> None:
    value = estimate(0.5)
    assert value == estimate(0.5)
    assert value == pytest.approx(-DIMENSIONS / 2 * math.log(1 - 0.5**2), abs=0.05)


def test_a_wish_to_stop_ends_the_fit() -> None:
    interruption = Interruption()
    interruption.requested = True
    with pytest.raises(Stopped):
        estimate(0.5, interruption)


def test_no_network_shows_more_than_the_logarithm_of_the_sample() -> None:
    """A network that knows each pair by heart scores it by 100, and all others by -100."""

    class ByHeart(nn.Module):
        def __init__(self, sign: float) -> None:
            super().__init__()
            own = math.sqrt(200) * torch.eye(64)
            self.rows = torch.cat([own, torch.full((64, 1), 10 * sign)], dim=1) * 65**0.25

        def forward(self, rows: Tensor) -> Tensor:
            chosen: Tensor = self.rows[rows]
            return chosen

    rows = torch.arange(64)
    value = mine.bound(mine.StatisticsNetwork(ByHeart(1), ByHeart(-1)), rows, rows)
    assert value == pytest.approx(math.log(64), abs=1e-6)


def test_pairs_of_different_images_are_all_others() -> None:
    torch.manual_seed(0)
    x, y = gaussians(1_500, 0.5, seed=3)
    statistics = network()
    with torch.no_grad():
        scores = statistics(x, y).double()
    others = scores[~torch.eye(1_500, dtype=torch.bool)]
    assert mine.bound(statistics, x, y) == pytest.approx(honest_bound(scores.diagonal(), [others]), abs=1e-5)


def test_the_bound_of_a_sample_by_hand() -> None:
    joint, product = torch.tensor([1.0, 0.0, 0.5]), [torch.tensor([0.0, -math.inf]), torch.tensor([-1.0])]
    mixed = 2 / 3 * (1 + math.exp(-1)) / 2 + 1 / 3 * (math.e + 1 + math.exp(0.5)) / 3
    assert honest_bound(joint, product) == pytest.approx(0.5 - math.log(mixed))


def test_one_wild_score_does_not_ruin_the_bound() -> None:
    joint, product = torch.full((1_000,), 3.0), torch.zeros(100_000)
    tame = honest_bound(joint, [product])
    product[7] = 100.0
    assert honest_bound(joint, [product]) == pytest.approx(tame, abs=0.011)


def test_the_moving_average_takes_the_bias_off_the_gradient() -> None:
    """The first batch is divided by its own mean, later ones by the average; the penalty adds to it."""
    descend = MovingAverageLoss()
    scores = torch.zeros(4, requires_grad=True)
    (first,) = torch.autograd.grad(descend(torch.zeros(4), scores), scores)
    torch.testing.assert_close(first, torch.full((4,), 1 / 4))
    raised = torch.full((4,), math.log(3.0), requires_grad=True)
    (second,) = torch.autograd.grad(descend(torch.zeros(4), raised), raised)
    weight = 3 / (0.99 * 1 + 0.01 * 3) + 0.1 * 2 * math.log(3)
    torch.testing.assert_close(second, torch.full((4,), weight / 4))


def test_scores_of_a_thousand_do_not_overflow() -> None:
    descend = MovingAverageLoss()
    for value in (0.0, 1_000.0):
        scores = torch.full((4,), value, requires_grad=True)
        (gradient,) = torch.autograd.grad(descend(torch.zeros(4), scores), scores)
        assert gradient.isfinite().all()


def test_a_code_that_is_the_image_tells_more_than_one_that_is_constant() -> None:
    training, test = images(noise(300, 8, seed=0)), images(noise(200, 8, seed=1))
    telling = encoder(code=lambda pixels: pixels[:, ::4, ::4].reshape(len(pixels), -1))
    silent = encoder(code=lambda pixels: np.ones((len(pixels), 12)))
    (high,), (none,) = (mine.measure(inputs(each, training, test)) for each in (telling, silent))
    assert high.limit == none.limit == math.log(200)
    assert 0.5 < high.value <= math.log(200)
    assert none.value == pytest.approx(0, abs=0.01)
