"""Validation of maps, in worlds whose informative patches and whose information are known."""

import math
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from contract.artefact import open_artefact
from contract.card import ModelCard
from training.evaluation.maps import planted, reliability
from training.evaluation.maps.attribution import curves
from training.evaluation.maps.methods import BASELINES, CANDIDATES, contribution, occlusion, random
from training.evaluation.maps.subject import Subject, open_subject
from training.evaluation.maps.validation import validate
from training.export.onnx_files import convert

SYMBOLS = 8
GRID = 8
SIDE = 32
# How often a patch has the symbol of its code.
AGREES = 0.6


class Reading(nn.Module):
    """Encoder of a world of symbols: patches show some, and the top left pixel is the code's."""

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        symbols = image[:, ::4, ::4, 0].long().clamp(max=SYMBOLS - 1)
        features = nn.functional.one_hot(symbols, SYMBOLS).permute(0, 3, 1, 2).float()
        code = nn.functional.one_hot(image[:, 1, 1, 0].long(), SYMBOLS).float()
        return features, code


class Knowing(nn.Module):
    """Critic that knows the information of each pair of symbols, times a factor."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        apart = math.log((1 - AGREES) / (SYMBOLS - 1) * SYMBOLS)
        table = torch.full((SYMBOLS, SYMBOLS), apart) + torch.eye(SYMBOLS) * (
            math.log(AGREES * SYMBOLS) - apart
        )
        self.register_buffer("table", factor * table)
        self.table: Tensor

    def forward(self, features: Tensor, code: Tensor) -> tuple[Tensor, ...]:
        local = torch.einsum("ncij,cu->nuij", features, self.table)
        mi_map = torch.einsum("nuij,nu->nij", local, code)
        return mi_map, local, code * 1.0, torch.zeros_like(mi_map)


def world(count: int, seed: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, SYMBOLS, count)
    others = (codes[:, None, None] + rng.integers(1, SYMBOLS, (count, GRID, GRID))) % SYMBOLS
    symbols = np.where(rng.random((count, GRID, GRID)) < AGREES, codes[:, None, None], others)
    pixels = np.repeat(np.repeat(symbols, 4, axis=1), 4, axis=2)[..., None].repeat(3, axis=3).astype(np.uint8)
    pixels[:, 1, 1] = codes[:, None]
    return pixels


def session(
    module: nn.Module, names: tuple[tuple[str, ...], tuple[str, ...]], *examples: Tensor
) -> onnxruntime.InferenceSession:
    model = convert(module, examples, *names)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def subject(card: ModelCard, factor: float) -> Subject:
    image = torch.zeros((2, SIDE, SIDE, 3), dtype=torch.uint8)
    features, code = Reading()(image)
    outputs = ("mi_map", "local", "global", "local_log_normaliser")
    return Subject(
        card,
        "fp32",
        session(Reading(), (("image",), ("features", "code")), image),
        session(Knowing(factor), (("features", "code"), outputs), features, code),
        None,
        np.zeros(SYMBOLS, np.float32),
    )


@pytest.fixture
def card(tiny_models: Path) -> ModelCard:
    return open_artefact(tiny_models / "tiny" / "1").card


def test_nats_of_a_critic_that_knows_are_observed_and_inflated_ones_are_not(card: ModelCard) -> None:
    pixels = world(300, seed=0)
    truth = {math.log(AGREES * SYMBOLS), math.log((1 - AGREES) / (SYMBOLS - 1) * SYMBOLS)}
    bins = reliability.measure(subject(card, 1), pixels)
    assert len(bins) == 2
    for one in bins:
        assert min(abs(one.claimed - value) for value in truth) < 1e-4
        assert abs(one.observed - one.claimed) < 4 * one.standard_error + 0.02
        assert one.standard_error < 0.2
    assert sum(one.own for one in bins) == 300 * GRID * GRID
    for one in reliability.measure(subject(card, 2), pixels):
        assert abs(one.observed - one.claimed / 2) < 4 * one.standard_error + 0.02


def test_plants_lie_in_their_quadrant_at_half_size(card: ModelCard) -> None:
    sources = np.full((40, SIDE, SIDE, 3), 200, np.uint8)
    others = np.full((40, SIDE, SIDE, 3), 50, np.uint8)
    for surrounding in planted.SURROUNDINGS:
        images, quadrants = planted.planted(surrounding, sources, others, seed=3)
        assert set(quadrants.tolist()) == {0, 1, 2, 3}
        found = (images == 200).all(axis=3).reshape(40, 4, 8, 4, 8).transpose(0, 1, 3, 2, 4)
        maps = found.mean(axis=(3, 4)).astype(np.float32)
        np.testing.assert_array_equal(planted.brightest(maps), quadrants)
        assert (found.mean(axis=(1, 2, 3, 4)) < 0.27).all()
    assert planted.left_is_brighter(np.array([[[2.0, 1.0]], [[1.0, 2.0]]], np.float32)).tolist() == [
        True,
        False,
    ]
    assert (planted.halved(sources, others)[:, :, :16] == 200).all()
    assert (planted.halved(sources, others)[:, :, 16:] == 50).all()


def test_the_cells_that_a_code_is_made_of_make_the_better_curves(tiny_models: Path) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (12, SIDE, SIDE, 3), dtype=np.uint8)
    model = open_subject(open_artefact(tiny_models / "tiny" / "1"), pixels)
    features, codes = model.features_and_codes(pixels)
    best = occlusion(model, pixels, features, codes)
    deletion, insertion = curves(model, best, pixels, codes)
    worst_deletion, worst_insertion = curves(model, -best, pixels, codes)
    assert deletion.mean() < worst_deletion.mean()
    assert insertion.mean() > worst_insertion.mean()
    # A permuted batch has the permuted maps.
    turned = contribution(model, pixels[::-1], features[::-1], codes[::-1])
    np.testing.assert_allclose(turned[::-1], contribution(model, pixels, features, codes), atol=1e-4)
    for method in (*BASELINES.values(), *CANDIDATES.values()):
        assert method(model, pixels[:2], features[:2], codes[:2]).shape == (2, GRID, GRID)
    assert np.ptp(random(model, pixels, features, codes)) > 0


def test_a_validation_states_every_claim_once(tiny_models: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, SIDE, SIDE, 3), dtype=np.uint8)
    model = open_subject(open_artefact(tiny_models / "tiny" / "1"), pixels)
    found = validate(model, pixels, split="noise", images=8, pairs=20, seed=0, candidates=False)
    names = [bar.name for bar in found.bars]
    assert len(names) == len(set(names)) == 9
    assert {one.method for one in found.attribution} > {"contribution", *BASELINES}
    assert found.contribution_cost == 2 + GRID * GRID
    again = validate(model, pixels, split="noise", images=8, pairs=20, seed=0, candidates=False)
    assert again.bars == found.bars
