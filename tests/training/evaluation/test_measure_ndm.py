"""NDM: the known total correlation of Gaussians and of signs, 0 for independent dimensions."""

import math

import pytest
import torch
from torch import Generator, Tensor

from training.evaluation.measures.fitting import FitSchedule
from training.evaluation.measures.inputs import Layers
from training.evaluation.measures.ndm import normal_scores, shuffled, total_correlation
from training.recipe import OptimiserRecipe
from training.system.signals import Interruption


def equally_correlated(count: int, dimensions: int, rho: float, seed: int) -> tuple[Tensor, float]:
    """Normal vectors [N, D] with rho between any two dimensions, and their total correlation in nats."""
    correlation = torch.full((dimensions, dimensions), rho).fill_diagonal_(1.0)
    draw = torch.randn(count, dimensions, generator=Generator().manual_seed(seed))
    return draw @ torch.linalg.cholesky(correlation).T, -float(torch.logdet(correlation)) / 2


def measured(
    training: Tensor, test: Tensor, schedule: FitSchedule = FitSchedule(3, OptimiserRecipe())
) -> tuple[float, float]:
    return total_correlation(Layers(training, test), seed=0, interruption=Interruption(), schedule=schedule)


def test_the_known_total_correlation_of_gaussians() -> None:
    training, truth = equally_correlated(5_000, 6, 0.8, seed=0)
    test, _ = equally_correlated(5_000, 6, 0.8, seed=1)
    bound, gaussian = measured(training, test)
    # The mass that the sample might have missed is counted against the bound.
    assert 0.9 * truth < bound < 1.01 * truth
    assert gaussian == pytest.approx(truth, rel=0.06)


def test_independent_dimensions_have_none() -> None:
    training, _ = equally_correlated(2_000, 8, 0.0, seed=0)
    test, _ = equally_correlated(2_000, 8, 0.0, seed=1)
    # Whatever their distribution, which is log-normal here.
    assert measured(training.exp(), test.exp()) == pytest.approx((0, 0), abs=0.02)


def signs(count: int, seed: int) -> Tensor:
    """Three dimensions, any two of them independent; the sign of the third is the product of the others'."""
    generator = Generator().manual_seed(seed)
    size = torch.randn(count, 3, generator=generator).abs() + 0.3
    sign = torch.randint(0, 2, (count, 2), generator=generator) * 2 - 1
    return size * torch.cat([sign, sign.prod(dim=1, keepdim=True)], dim=1)


def test_dependence_without_correlation_is_found_by_the_network() -> None:
    schedule = FitSchedule(15, OptimiserRecipe(learning_rate=5e-3), batch_size=100)
    bound, gaussian = measured(signs(5_000, seed=0), signs(5_000, seed=1), schedule)
    # The truth is log 2. The sign changes where normal scores are densest, which no network follows quite.
    assert 0.8 * math.log(2) < bound < math.log(2)
    assert gaussian == pytest.approx(0, abs=0.02)


def test_what_a_sample_cannot_show_is_left_to_the_gaussian_part() -> None:
    training, truth = equally_correlated(2_000, 32, 0.95, seed=0)
    test, _ = equally_correlated(500, 32, 0.95, seed=1)
    bound, gaussian = measured(training, test)
    assert truth > 40
    assert 0.9 * math.log(500) < bound <= math.log(500)
    assert gaussian == pytest.approx(truth, rel=0.1)


def test_constant_and_repeated_dimensions_are_no_trouble() -> None:
    one = torch.randn(1_000, 1, generator=Generator().manual_seed(0))
    code = torch.cat([one, one, torch.zeros(1_000, 2)], dim=1)
    bound, gaussian = measured(code, code)
    assert math.isfinite(bound)
    # A copy counts as a correlation of 0.999: what T says on average where it is really 1.
    assert gaussian == pytest.approx(-math.log(1 - 0.999**2) / 2 + 1 - 1 / 1.999, rel=0.01)


def test_the_scale_of_a_dimension_does_not_matter() -> None:
    training, _ = equally_correlated(300, 4, 0.5, seed=0)
    test, _ = equally_correlated(300, 4, 0.5, seed=1)
    stretch = torch.tensor([1e-3, 1.0, 7.0, 1e3])
    assert measured(training * stretch + 5, test * stretch + 5) == pytest.approx(
        measured(training, test), abs=0.01
    )


def test_normal_scores_are_normal_and_keep_the_order() -> None:
    values = torch.rand(1_000, 2, generator=Generator().manual_seed(0)) ** 3
    scores = normal_scores(values, values)
    torch.testing.assert_close(scores.mean(dim=0), torch.zeros(2), atol=1e-3, rtol=0)
    torch.testing.assert_close(scores.std(dim=0), torch.ones(2), atol=0.02, rtol=0)
    assert torch.equal(scores.argsort(dim=0), values.argsort(dim=0))
    beyond = normal_scores(values, torch.tensor([[-9.0, 9.0]]))
    assert beyond.isfinite().all()


def test_shuffling_keeps_every_dimension_and_breaks_the_rows() -> None:
    code = torch.arange(400.0).view(100, 4)
    mixed = shuffled(code, Generator().manual_seed(0))
    assert torch.equal(mixed.sort(dim=0).values, code)
    assert not torch.equal(mixed[:, 1] - mixed[:, 0], torch.ones(100))
