"""Scaling of the served critic: what it claims of new images becomes what is observed there."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.training.export.test_serving_critic import RHO, TRUE_NATS, gaussians
from training.export import score_scaling
from training.export.critic_fitting import fit
from training.export.graphs import CriticGraph
from training.export.score_scaling import UNSCALED, Scaling
from training.model.serving_critic import ServingCritic

BANK = gaussians(2_048, seed=2)[1]


class Exact(ServingCritic):
    """The log density ratio of these Gaussians, times a factor."""

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__(2, 2, 4)
        self._factor = factor / (1 - RHO**2)

    def project_local(self, features: Tensor) -> Tensor:
        ones = torch.ones_like(features[:, :1])
        squares = features.square().sum(dim=1, keepdim=True)
        return self._factor * torch.cat([RHO * features, -(RHO**2) / 2 * squares, ones], dim=1)

    def project_global(self, code: Tensor) -> Tensor:
        squares = code.square().sum(dim=1, keepdim=True)
        return torch.cat([code, torch.ones_like(squares), -(RHO**2) / 2 * squares], dim=1)


def chosen(critic: ServingCritic, bank: Tensor = BANK) -> Scaling:
    return score_scaling.fit(critic, *gaussians(4_000, seed=3), bank, seed=0)


def mean_map(critic: ServingCritic, bank: Tensor, scaling: Scaling) -> float:
    with torch.no_grad():
        return float(CriticGraph(critic, bank, scaling)(*gaussians(4_000, seed=7))[0].mean())


def test_a_critic_that_is_right_stays_as_it_is() -> None:
    assert chosen(Exact()).temperature == pytest.approx(1, abs=0.15)
    assert chosen(Exact()).offset == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_critic_that_is_too_sure_is_cooled_and_one_that_is_not_is_heated(factor: float) -> None:
    assert chosen(Exact(factor)).temperature == pytest.approx(factor * chosen(Exact()).temperature, rel=0.03)
    assert mean_map(Exact(factor), BANK, chosen(Exact(factor))) == pytest.approx(TRUE_NATS, abs=0.08)


def test_a_bank_that_is_told_apart_too_easily_is_set_off() -> None:
    # Codes that no patch goes with: as many again make every claim too high by log 2.
    bank = torch.cat([BANK, torch.full_like(BANK, 1e3)])
    assert chosen(Exact(), bank).offset - chosen(Exact()).offset == pytest.approx(math.log(2), abs=0.02)


def test_too_few_images_choose_nothing() -> None:
    assert score_scaling.fit(Exact(2.0), *gaussians(7, seed=3), BANK, seed=0) == UNSCALED


def test_a_feature_that_is_not_finite_chooses_nothing() -> None:
    features, code = gaussians(100, seed=3)
    features[0] = math.nan
    assert score_scaling.fit(Exact(), features, code, BANK, seed=0) == UNSCALED


def test_claims_of_a_critic_of_few_images_are_what_is_observed() -> None:
    features, code = gaussians(100, seed=0)
    # No held-out image ends its fit: the bound is that of the images that it knows.
    critic, _ = fit(features, code, (features, code), seed=0, epochs=150, batch_size=50, positions=1)
    scaling = score_scaling.fit(critic, *gaussians(500, seed=1), code, seed=0)
    assert scaling.temperature > 1.2
    assert worst_claim(critic, code, scaling) < 0.3 < worst_claim(critic, code, UNSCALED)


def worst_claim(critic: ServingCritic, bank: Tensor, scaling: Scaling) -> float:
    """The largest difference of claimed and observed nats, over bins of one nat with many pairs."""
    with torch.no_grad():
        patches, codes = gaussians(1_500, seed=9)
        _, local, global_, normaliser = CriticGraph(critic, bank, scaling)(patches, codes)
        claimed = (global_ @ local.flatten(1).T - normaliser.flatten()).numpy()
    own = np.eye(len(claimed), dtype=bool)
    errors = []
    for low in (-1, 0, 1):
        inside = (claimed >= low) & (claimed < low + 1)
        observed = math.log(inside[own].mean() / inside[~own].mean())
        errors.append(abs(observed - float(claimed[inside & own].mean())))
    return max(errors)
