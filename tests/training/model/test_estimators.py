"""Estimators: known information of Gaussians, and the laws that every one of them has to keep."""

import math
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from training.errors import RecipeError
from training.model.critics import build_critic
from training.model.estimators import ESTIMATORS, build_estimator
from training.model.estimators.f_divergences import FDivergence

RHO, DIMENSIONS = 0.6, 2
TRUE_NATS = -DIMENSIONS / 2 * math.log(1 - RHO**2)

BOUNDS = ("infonce", "decoupled_infonce", "dv", "kl")
PER_PATCH = ("infonce", "decoupled_infonce")
DIVERGENCES = [name for name, estimator in ESTIMATORS.items() if issubclass(estimator, FDivergence)]


def gaussians(count: int, generator: Generator, rho: float = RHO) -> tuple[Tensor, Tensor]:
    """Pairs of vectors [N, D] whose components correlate by rho."""
    x = torch.randn(count, DIMENSIONS, generator=generator)
    noise = torch.randn(count, DIMENSIONS, generator=generator)
    return x, rho * x + math.sqrt(1 - rho**2) * noise


def even_gaussians(count: int, rho: float = RHO) -> tuple[Tensor, Tensor]:
    """The same distribution by a Sobol sequence, whose means are off by about 1 / N, not 1 / sqrt(N)."""
    uniform = torch.quasirandom.SobolEngine(2 * DIMENSIONS, scramble=True, seed=0).draw(count)
    x, noise = torch.special.ndtri(uniform.double()).float().chunk(2, dim=1)
    return x, rho * x + math.sqrt(1 - rho**2) * noise


def true_log_ratio(x: Tensor, y: Tensor, rho: float = RHO) -> Tensor:
    """log p(x, y) / p(x) p(y) of every pair: [A, D] and [B, D] to [A, B, 1]."""
    x, y = x.unsqueeze(1), y.unsqueeze(0)
    form = (rho**2 * (x**2 + y**2) - 2 * rho * x * y) / (2 * (1 - rho**2))
    ratio: Tensor = (-math.log(1 - rho**2) / 2 - form).sum(dim=2, keepdim=True)
    return ratio


def optimal_scores(name: str, log_ratio: Tensor) -> Tensor:
    """The scores of a perfect critic, by each divergence's T = f'(ratio) solved by hand."""
    match name:
        case "squared_hellinger":
            return log_ratio / 2
        case "chi_squared":
            return 2 * (log_ratio.exp() - 1)
        case _:
            return log_ratio


def true_value(name: str, rho: float = RHO) -> float:
    """What minus the loss is for a perfect critic and endless data."""
    match name:
        case "infonce" | "decoupled_infonce" | "dv" | "kl":
            return -DIMENSIONS / 2 * math.log(1 - rho**2)
        case "reverse_kl":
            return DIMENSIONS * (rho**2 / (1 - rho**2) + math.log(1 - rho**2) / 2)
        case "squared_hellinger":
            return 2 - 2 * math.pow((1 - rho**2) ** 0.25 / math.sqrt(1 - rho**2 / 4), DIMENSIONS)
        case "chi_squared":
            return (1 - rho**2) ** -DIMENSIONS - 1
        case _:
            return twice_jensen_shannon(rho)


@cache
def twice_jensen_shannon(rho: float) -> float:
    """KL(p || m) + KL(q || m) with m the mean of both, from two million samples, without any critic."""
    draw = np.random.default_rng(7)
    x, noise = draw.standard_normal((2, 1_000_000, DIMENSIONS))
    value = 0.0
    for y, sign in ((rho * x + math.sqrt(1 - rho**2) * noise, 1), (noise, -1)):
        form = (rho**2 * (x**2 + y**2) - 2 * rho * x * y) / (2 * (1 - rho**2))
        ratio = sign * (-np.log(1 - rho**2) / 2 - form).sum(axis=1)
        value += math.log(2) - np.logaddexp(0, -ratio).mean()
    return value


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_perfect_critic_gives_the_analytic_value(name: str) -> None:
    # These two average powers of the ratio whose variance is infinite at RHO.
    rho = 0.3 if name in ("reverse_kl", "chi_squared") else RHO
    x, y = even_gaussians(2_048, rho)
    scores = optimal_scores(name, true_log_ratio(x, y, rho))
    value = -build_estimator(name).loss(scores).item()
    if name == "infonce":
        value += math.log(len(x))
    assert value == pytest.approx(true_value(name, rho), abs=0.01)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_perfect_critics_log_ratio_is_the_true_one(name: str) -> None:
    x, y = even_gaussians(2_048)
    truth = true_log_ratio(x, y)
    told = build_estimator(name).log_ratio(optimal_scores(name, truth))
    if name in PER_PATCH:
        # The normaliser of each patch is a mean over this batch, rough for outlying patches.
        assert (told - truth).abs().mean() < 0.02
    else:
        near = truth.abs() < 6
        assert (told - truth)[near].abs().max() < (0.01 if name == "dv" else 1e-3)
    assert told.diagonal().mean().item() == pytest.approx(TRUE_NATS, abs=0.01)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_trained_critic_reaches_the_known_information(name: str) -> None:
    torch.manual_seed(0)
    generator = Generator().manual_seed(2)
    estimator = build_estimator(name)
    critic = build_critic("concat_and_convolve", DIMENSIONS, DIMENSIONS, 32, None)
    steps = 500
    optimiser = torch.optim.Adam(critic.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, total_steps=steps)
    for _ in range(steps):
        x, y = gaussians(64, generator)
        loss = estimator.loss(critic(x.unsqueeze(2), y))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    x, y = even_gaussians(1_024)
    with torch.no_grad():
        scores = critic(x.unsqueeze(2), y)
    information = estimator.log_ratio(scores).diagonal().mean().item()
    # The reverse divergence hardly weighs the pairs with high ratios, so it leaves those rough.
    assert information == pytest.approx(TRUE_NATS, abs=0.2 if name == "reverse_kl" else 0.06)
    value = -estimator.loss(scores).item() + (math.log(len(x)) if name == "infonce" else 0)
    # A trained critic stays below the divergence; chi-squared is made of rare, large ratios.
    assert value == pytest.approx(true_value(name), rel=0.2 if name == "chi_squared" else 0.1)
    bound = estimator.bound(scores)
    assert (bound is not None) == (name in BOUNDS)
    if bound is not None:
        # The decoupled loss is another bound than the one that is reported, nearly the same here.
        assert bound.item() == pytest.approx(value, abs=1e-2 if name == "decoupled_infonce" else 1e-4)


@pytest.mark.parametrize("name", [*PER_PATCH, "dv"])
def test_a_ratio_with_a_free_offset_is_one_on_the_average_of_independent_pairs(name: str) -> None:
    scores = 3 * torch.randn(6, 6, 4, generator=Generator().manual_seed(10))
    ratio = build_estimator(name).log_ratio(scores).exp()
    independent = ratio[~torch.eye(6, dtype=torch.bool)].view(6, 5, 4)
    mean = independent.mean(dim=1) if name in PER_PATCH else independent.mean(dim=(0, 1))
    torch.testing.assert_close(mean, torch.ones_like(mean))


def test_infonce_cannot_tell_more_than_the_logarithm_of_the_batch() -> None:
    x, y = gaussians(16, Generator().manual_seed(3), rho=0.9999)
    scores = true_log_ratio(x, y, rho=0.9999)
    assert -DIMENSIONS / 2 * math.log(1 - 0.9999**2) > 8
    bound = build_estimator("infonce").bound(scores)
    assert bound is not None
    assert 0.9 * math.log(16) < bound.item() <= math.log(16)


@pytest.mark.parametrize("name", PER_PATCH)
def test_a_pair_told_for_sure_still_has_a_gradient_without_itself_among_the_negatives(name: str) -> None:
    scores = 10 * torch.eye(8).unsqueeze(2)
    scores.requires_grad_()
    (gradient,) = torch.autograd.grad(build_estimator(name).loss(scores), scores)
    pulled = -8 * gradient.diagonal().squeeze()
    expected = torch.ones(8) if name == "decoupled_infonce" else torch.full((8,), 7 / (7 + math.exp(10)))
    torch.testing.assert_close(pulled, expected)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_scores_that_tell_nothing_give_no_information(name: str) -> None:
    estimator = build_estimator(name)
    scores = torch.zeros(8, 8, 3)
    nothing = math.log(8) if name == "infonce" else 0.0
    assert estimator.loss(scores).item() == pytest.approx(nothing, abs=1e-6)
    assert estimator.log_ratio(scores).abs().max() < 1e-6


def slow_loss(name: str, scores: Tensor) -> float:
    """The loss by loops over images, images and patches, in double precision, skipping masked pairs."""
    table = scores.double().numpy()
    count, _, patches = table.shape

    def kept(pairs: list[tuple[int, int]], patch: int) -> list[float]:
        return [float(table[a, b, patch]) for a, b in pairs if table[a, b, patch] != -math.inf]

    own = [(a, a) for a in range(count)]
    other = [(a, b) for a in range(count) for b in range(count) if a != b]
    if name == "infonce":
        losses = []
        for patch in range(patches):
            for a in range(count):
                row = kept([(a, b) for b in range(count)], patch)
                losses += [np.logaddexp.reduce(row) - score for score in kept([(a, a)], patch)]
        return float(np.mean(losses))
    if name == "decoupled_infonce":
        losses = []
        for patch in range(patches):
            for a in range(count):
                row = kept([(a, b) for b in range(count) if b != a], patch)
                normaliser = np.logaddexp.reduce(row) - math.log(len(row))
                losses += [normaliser - score for score in kept([(a, a)], patch)]
        return float(np.mean(losses))
    if name == "dv":
        bounds = []
        for patch in range(patches):
            negatives = kept(other, patch)
            log_mean = np.logaddexp.reduce(negatives) - math.log(len(negatives))
            bounds.append(np.mean(kept(own, patch)) - log_mean)
        return -float(np.mean(bounds))
    # g(T) and f*(g(T)), as in tables 1 and 2 of Nowozin et al. 2016.
    pairs: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
        "jsd": (lambda t: math.log(2) - math.log1p(math.exp(-t)), lambda t: -math.log(2 - math.exp(t))),
        "kl": (lambda t: t + 1, lambda t: math.exp(t - 1)),
        "reverse_kl": (lambda t: -math.exp(-t), lambda t: -1 - math.log(-t)),
        "squared_hellinger": (lambda t: 1 - math.exp(-t), lambda t: t / (1 - t)),
        "chi_squared": (lambda t: t, lambda t: t * t / 4 + t),
    }
    g, conjugate = pairs[name]
    joint = [g(t) for patch in range(patches) for t in kept(own, patch)]
    independent = [conjugate(g(t)) for patch in range(patches) for t in kept(other, patch)]
    return float(np.mean(independent) - np.mean(joint))


@pytest.mark.parametrize("patches", [1, 64])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_loss_equals_slow_loops_for_any_number_of_patches(name: str, patches: int) -> None:
    scores = 2 * torch.randn(5, 5, patches, generator=Generator().manual_seed(4))
    assert build_estimator(name).loss(scores).item() == pytest.approx(slow_loss(name, scores), rel=1e-4)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_masked_pair_is_a_removed_pair(name: str) -> None:
    estimator = build_estimator(name)
    scores = torch.randn(6, 6, 3, generator=Generator().manual_seed(5))
    for pair in ((0, 1, 0), (2, 3, 1), (3, 3, 1), (4, 0, 2), (5, 5, 2)):
        scores[pair] = -math.inf
    scores.requires_grad_()
    loss = estimator.loss(scores)
    assert loss.item() == pytest.approx(slow_loss(name, scores.detach()), rel=1e-4)
    (gradient,) = torch.autograd.grad(loss, scores)
    masked = scores == -math.inf
    assert gradient[masked].eq(0).all()
    assert gradient[~masked].isfinite().all()
    ratio = estimator.log_ratio(scores)
    assert ratio[masked].eq(-math.inf).all()
    assert ratio[~masked].isfinite().all()


@pytest.mark.parametrize("name", BOUNDS)
def test_masked_pairs_do_not_move_the_bound(name: str) -> None:
    estimator = build_estimator(name)
    scores = torch.randn(6, 6, 3, generator=Generator().manual_seed(6))
    masked = scores.clone()
    masked[5] = masked[:, 5] = -math.inf
    with_mask, without_image = estimator.bound(masked), estimator.bound(scores[:5, :5])
    assert with_mask is not None
    assert without_image is not None
    assert with_mask.item() == pytest.approx(without_image.item(), abs=1e-5)


@pytest.mark.parametrize("magnitude", [30.0, 1_000.0])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_extreme_scores_have_finite_losses_and_gradients(name: str, magnitude: float) -> None:
    estimator = build_estimator(name)
    signs = torch.randint(0, 2, (8, 8, 4), generator=Generator().manual_seed(7)).float() * 2 - 1
    for worst in (signs, torch.ones_like(signs), -torch.ones_like(signs)):
        scores = (magnitude * worst).requires_grad_()
        loss = estimator.loss(scores)
        (gradient,) = torch.autograd.grad(loss, scores)
        assert loss.isfinite()
        assert gradient.isfinite().all()
        assert estimator.log_ratio(scores).isfinite().all()


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_wrong_score_of_a_thousand_is_still_pulled_back(name: str) -> None:
    scores = torch.zeros(4, 4, 1)
    scores[0, 1] = 1_000.0
    scores[2, 2] = -1_000.0
    scores.requires_grad_()
    (gradient,) = torch.autograd.grad(build_estimator(name).loss(scores), scores)
    # The smallest is that of a logarithm's tail: one pair's share of the mean, divided by the excess.
    assert gradient[0, 1] > 0.9 / 12 / 1_000
    assert gradient[2, 2] < -0.9 / 4 / 1_000


@pytest.mark.parametrize("name", ESTIMATORS)
def test_permuting_the_batch_permutes_the_results(name: str) -> None:
    estimator = build_estimator(name)
    generator = Generator().manual_seed(8)
    scores = torch.randn(7, 7, 5, generator=generator)
    order = torch.randperm(7, generator=generator)
    permuted = scores[order][:, order]
    torch.testing.assert_close(estimator.loss(permuted), estimator.loss(scores))
    torch.testing.assert_close(estimator.log_ratio(permuted), estimator.log_ratio(scores)[order][:, order])
    patches = torch.randperm(5, generator=generator)
    torch.testing.assert_close(estimator.loss(scores[:, :, patches]), estimator.loss(scores))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_half_precision_scores_are_read_in_single(name: str) -> None:
    scores = torch.randn(6, 6, 2, generator=Generator().manual_seed(9)).bfloat16()
    estimator = build_estimator(name)
    assert estimator.loss(scores).dtype == torch.float32
    torch.testing.assert_close(estimator.loss(scores), estimator.loss(scores.float()))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_broken_score_is_not_taken_for_a_mask(name: str) -> None:
    scores = torch.zeros(4, 4, 2)
    scores[1, 1, 0] = math.nan
    assert build_estimator(name).loss(scores).isnan()


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_batch_without_negatives_is_refused(name: str) -> None:
    for shape in ((1, 1, 4), (3, 2, 4), (3, 3)):
        with pytest.raises(RecipeError, match="B of 2 or more"):
            build_estimator(name).loss(torch.zeros(shape))


def test_an_unknown_estimator_is_named_with_those_that_exist() -> None:
    with pytest.raises(
        RecipeError, match=r"no estimator 'nce'; choose one of infonce, decoupled_infonce, jsd, dv"
    ):
        build_estimator("nce")
