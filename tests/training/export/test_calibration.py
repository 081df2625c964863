"""Calibration: each figure is what it says, on critics whose figures are known."""

import math
from functools import cache

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from contract.card import Calibration
from training.evaluation.frozen import FrozenEncoder
from training.export.calibration import bank_rows, bank_size, measure
from training.export.graphs import CriticGraph
from training.export.onnx_files import convert
from training.export.score_scaling import UNSCALED, Scaling
from training.model.serving_critic import ServingCritic

CHANNELS, CODE, GRID, BANK = 3, 4, 2, 32


class Telling(nn.Module):
    """Stands for a critic graph whose map is its first feature where the code is the image's own, else -1.

    An image's own code has the number that its features carry.
    """

    OUTPUTS = ("mi_map", "local", "global", "local_log_normaliser")

    def forward(self, features: Tensor, code: Tensor) -> tuple[Tensor, ...]:
        own = (features[:, 1] - code[:, 0, None, None]).abs() < 0.5
        mi_map = torch.where(own, features[:, 0], -torch.ones_like(features[:, 0]))
        return mi_map, features, code[:, :CHANNELS] * 0, torch.zeros_like(features[:, 0])


def session(module: nn.Module) -> onnxruntime.InferenceSession:
    example = (torch.randn(3, CHANNELS, GRID, GRID), torch.randn(3, CODE))
    model = convert(module, example, ("features", "code"), CriticGraph.OUTPUTS)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


@cache
def telling() -> onnxruntime.InferenceSession:
    return session(Telling())


def numbered(count: int, value: float, mirrored_value: float) -> tuple[FrozenEncoder, NDArray[np.uint8]]:
    """An encoder whose features are `value` and the image's number, which stands in its pixels.

    A mirrored image, known by a mark on the left, has another value.
    """
    pixels = np.zeros((count, 8, 8, 3), np.uint8)
    pixels[:, :, :, 0], pixels[:, :, :, 1] = (
        np.arange(count)[:, None, None] // 256,
        np.arange(count)[:, None, None] % 256,
    )
    pixels[:, 0, 0, 2] = 1

    def run(batch: NDArray[np.uint8], outputs: object) -> list[NDArray[np.float32]]:
        number = batch[:, 4, 4, 0].astype(np.float32) * 256 + batch[:, 4, 4, 1]
        features = np.zeros((len(batch), CHANNELS, GRID, GRID), np.float32)
        features[:, 0] = np.where(batch[:, 0, 0, 2] == 1, value, mirrored_value)[:, None, None]
        features[:, 1] = number[:, None, None]
        return [features, np.repeat(number[:, None], CODE, axis=1)]

    return FrozenEncoder(run, ("features", "code")), pixels


def measured(count: int, value: float = 1.0, mirrored: float = 1.0) -> Calibration:
    encoder, pixels = numbered(count, value, mirrored)
    other = np.zeros((BANK, CODE), np.float32)
    return measure(encoder, telling(), pixels, other, bank_size=BANK, split="made up", seed=0)


@pytest.mark.parametrize("count", [2, 500, 501, 1000])
def test_own_codes_and_others_are_told_apart_however_the_batches_fall(count: int) -> None:
    result = measured(count)
    assert result.mi_nats == 1.0
    assert result.mi_standard_error == 0.0
    assert result.shuffled_nats == -1.0
    assert result.joint_auc == 1.0
    assert result.images == count


def test_the_lower_bound_is_infonce_with_the_own_code_in_the_bank() -> None:
    expected = math.log((BANK + 1) * math.e / (math.e + BANK))
    assert measured(10).lower_bound_nats == pytest.approx(expected, rel=1e-5)


def test_the_lower_bound_saturates_where_the_map_does_not() -> None:
    result = measured(10, value=50.0, mirrored=50.0)
    assert result.mi_nats == 50.0
    assert result.lower_bound_nats == pytest.approx(math.log(BANK + 1), rel=1e-5)


def test_the_flip_error_is_the_difference_to_the_mirrored_map() -> None:
    assert measured(10, mirrored=1.5).flip_error_nats == pytest.approx(0.5)


def test_a_critic_that_cannot_tell_is_at_chance() -> None:
    assert measured(10, value=-1.0).joint_auc == 0.5


def test_an_equal_bank_moves_nothing_and_another_does() -> None:
    torch.manual_seed(0)
    critic = ServingCritic(CHANNELS, CODE, units=8)
    bank, other = torch.randn(BANK, CODE), 3 + torch.randn(BANK, CODE)
    critic_session = session(CriticGraph(critic, bank))
    encoder, pixels = numbered(20, 1.0, 1.0)
    same, moved = (
        measure(encoder, critic_session, pixels, codes.numpy(), bank_size=BANK, split="made up", seed=0)
        for codes in (bank, other)
    )
    assert same.bank_error_nats < 1e-4
    assert moved.bank_error_nats > 1e-3
    assert same.mi_nats == moved.mi_nats


def test_an_offset_lowers_the_maps_and_their_bound_and_not_the_error_of_the_bank() -> None:
    torch.manual_seed(0)
    critic, bank = ServingCritic(CHANNELS, CODE, units=8), torch.randn(BANK, CODE)
    encoder, pixels = numbered(20, 1.0, 1.0)
    plain, lower, higher = (
        measure(
            encoder,
            session(CriticGraph(critic, bank, scaling)),
            pixels,
            bank.numpy(),
            bank_size=BANK,
            scaling=scaling,
            split="made up",
            seed=0,
        )
        for scaling in (UNSCALED, Scaling(1.0, offset=0.5), Scaling(1.0, offset=-0.5))
    )
    assert lower.mi_nats == pytest.approx(plain.mi_nats - 0.5, abs=1e-5)
    assert lower.lower_bound_nats < plain.lower_bound_nats
    assert lower.bank_error_nats < 1e-4
    assert (plain.offset_nats, lower.offset_nats) == (None, 0.5)
    assert higher.mi_nats == pytest.approx(plain.mi_nats + 0.5, abs=1e-5)
    assert higher.lower_bound_nats == pytest.approx(plain.lower_bound_nats, abs=1e-5)
    assert Scaling.of(plain) == UNSCALED
    assert Scaling.of(lower) == Scaling(temperature=1.0, offset=0.5)


def test_banks_are_apart_fixed_by_the_seed_and_no_larger_than_the_images_allow() -> None:
    own, other = bank_rows(1000, bank_size(1000), seed=0)
    assert len(own) == len(other) == 250
    assert not set(own) & set(other)
    assert np.array_equal(own, bank_rows(1000, 250, seed=0)[0])
    assert not np.array_equal(own, bank_rows(1000, 250, seed=1)[0])
    assert bank_size(45_000) == 4096
