"""Prior matching: the encoder opposes the discriminator, and codes move towards the prior because of it."""

import math
from collections.abc import Callable
from typing import get_args

import pytest
import torch
from torch import Generator, Tensor, nn

from training.model.objectives import PriorMatching
from training.model.priors import PRIORS
from training.recipe import ObjectiveRecipe

UNITS = 4
DISTRIBUTION: dict[str, Callable[[Tensor], Tensor]] = {
    "uniform": lambda values: values.clamp(0, 1),
    "gaussian": torch.special.ndtr,
}


def kolmogorov_smirnov(samples: Tensor, distribution: Callable[[Tensor], Tensor]) -> float:
    """The largest distance of the samples' distribution function from a known one, [N, D], mean over D."""
    share = distribution(samples.sort(dim=0).values.double())
    rank = torch.arange(len(samples)).double().unsqueeze(1)
    above, below = (rank + 1) / len(samples) - share, share - rank / len(samples)
    return float(torch.maximum(above, below).amax(dim=0).mean())


def toy_encoder() -> nn.Module:
    """Codes far from either prior: around 2 with a deviation of a third."""
    last = nn.Linear(32, UNITS)
    nn.init.constant_(last.bias, 2.0)
    return nn.Sequential(nn.Linear(UNITS, 32), nn.ReLU(), last)


def play(
    name: str, encoder_loss: Callable[[PriorMatching, Tensor], Tensor], steps: int
) -> tuple[float, float]:
    """Distances of a toy encoder's codes from the prior before and after a game with the discriminator."""
    torch.manual_seed(0)
    generator = Generator().manual_seed(0)
    encoder, matching = toy_encoder(), PriorMatching(UNITS, PRIORS[name])
    ours, theirs = (torch.optim.Adam(m.parameters(), lr=1e-3, betas=(0.9, 0.95)) for m in (encoder, matching))

    def distance() -> float:
        with torch.no_grad():
            codes = encoder(torch.randn(2_000, UNITS, generator=Generator().manual_seed(1)))
        return kolmogorov_smirnov(PRIORS[name].onto_support(codes), DISTRIBUTION[name])

    before = distance()
    for _ in range(steps):
        codes = encoder(torch.randn(64, UNITS, generator=generator))
        ours.zero_grad()
        encoder_loss(matching, codes).backward()
        ours.step()
        theirs.zero_grad()
        matching.discriminate(codes, generator)[0].backward()
        theirs.step()
    return before, distance()


@pytest.mark.parametrize("name", PRIORS)
def test_an_opposed_encoder_moves_its_codes_to_the_prior(name: str) -> None:
    before, after = play(name, lambda matching, codes: matching(codes), steps=400)
    assert before > 0.7
    assert after < 0.2


@pytest.mark.parametrize("name", PRIORS)
def test_an_encoder_with_the_discriminators_aim_moves_its_codes_away(name: str) -> None:
    before, after = play(name, lambda matching, codes: -matching(codes), steps=100)
    assert after > before


@pytest.mark.parametrize("name", PRIORS)
def test_samples_follow_the_prior_and_lie_in_its_support(name: str) -> None:
    prior = PRIORS[name]
    samples = prior.draw(torch.Size((20_000, 3)), Generator().manual_seed(0))
    assert kolmogorov_smirnov(samples, DISTRIBUTION[name]) < 1.63 / math.sqrt(20_000)
    assert torch.corrcoef(samples.T).fill_diagonal_(0).abs().max() < 0.03
    extreme = prior.onto_support(torch.tensor([-1e4, -1.0, 0.0, 1.0, 1e4]))
    assert (extreme.diff() > 0).all()
    if name == "uniform":
        assert 0 <= extreme.min() < extreme.max() <= 1


def test_each_sides_loss_moves_only_its_own_side() -> None:
    torch.manual_seed(0)
    matching = PriorMatching(UNITS, PRIORS["uniform"])
    codes = torch.randn(32, UNITS, requires_grad=True)
    matching(codes).backward()
    assert codes.grad is not None
    assert codes.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in matching.parameters())
    codes.grad = None
    matching.discriminate(codes, Generator().manual_seed(0))[0].backward()
    assert codes.grad is None
    assert all(parameter.grad is not None for parameter in matching.parameters())


def test_what_helps_the_encoder_harms_the_discriminator() -> None:
    torch.manual_seed(0)
    matching = PriorMatching(UNITS, PRIORS["gaussian"])
    codes = torch.randn(256, UNITS) + 3
    optimiser = torch.optim.Adam(matching.parameters(), lr=1e-3)
    for step in range(60):
        optimiser.zero_grad()
        loss, accuracy = matching.discriminate(codes, Generator().manual_seed(step))
        loss.backward()
        optimiser.step()
    assert accuracy > 0.9
    codes.requires_grad_()
    (gradient,) = torch.autograd.grad(matching(codes), codes)
    moved = codes.detach() - 0.5 * gradient / gradient.norm(dim=1, keepdim=True)
    assert matching(moved) < matching(codes)
    assert matching.discriminate(moved, Generator().manual_seed(0))[0] > loss


def test_a_sure_discriminator_leaves_the_encoder_a_gradient() -> None:
    matching = PriorMatching(UNITS, PRIORS["gaussian"])
    last = matching.discriminator[-1]
    assert isinstance(last, nn.Linear)
    nn.init.constant_(last.bias, -1_000.0)
    codes = torch.randn(8, UNITS, requires_grad=True)
    loss = matching(codes)
    (gradient,) = torch.autograd.grad(loss, codes)
    assert loss.isfinite()
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 1e-6


def test_recipes_can_name_exactly_the_priors_there_are() -> None:
    assert set(get_args(ObjectiveRecipe.model_fields["prior"].annotation)) == set(PRIORS)
