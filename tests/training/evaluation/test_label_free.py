"""Signs without labels, on vectors whose rank, spectrum and classes are known."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from contract.preprocessing import Preprocessing
from training.data import load
from training.evaluation.effective_rank import effective_rank
from training.evaluation.label_free import (
    LabelFree,
    label_free,
    lidar,
    rank_me,
    spearman,
    spectrum_exponent,
    views_drawn,
)
from training.evaluation.label_free.measuring import VIEWS
from training.model.encoders import build_encoder
from training.recipe import EncoderRecipe, ViewRecipe

WIDTH = 48


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=Generator().manual_seed(seed))


def within(vectors: Tensor, width: int = WIDTH) -> Tensor:
    """Put vectors into some directions of a wider space."""
    axes: Tensor = torch.linalg.qr(normal(width, vectors.shape[-1], seed=7)).Q
    return vectors @ axes.T


@pytest.mark.parametrize("rank", [1, 4, 16])
def test_rank_me_of_isotropic_vectors_is_the_number_of_their_directions(rank: int) -> None:
    assert rank_me(within(normal(20_000, rank))) == pytest.approx(rank, rel=0.01)


def test_rank_me_counts_a_common_offset_and_no_scale() -> None:
    vectors = within(normal(5_000, 4))
    assert rank_me(3 * vectors) == pytest.approx(rank_me(vectors), rel=1e-4)
    far = vectors + 1000 * torch.ones(WIDTH)
    assert rank_me(far) < 1.2
    assert effective_rank(far) == pytest.approx(4, rel=0.05)


@pytest.mark.parametrize("count", [400, 60])
@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0])
def test_the_exponent_of_a_power_law_is_found(exponent: float, count: int) -> None:
    # Exact: orthogonal columns without a mean, whose squares fall by the law.
    columns = torch.linalg.qr(normal(count, WIDTH) - normal(count, WIDTH).mean(dim=0)).Q
    scales = torch.arange(1, WIDTH + 1).float() ** (-exponent / 2)
    assert spectrum_exponent(columns * scales) == pytest.approx(exponent, abs=1e-3)


def test_a_flat_spectrum_has_no_slope_and_one_direction_no_exponent() -> None:
    assert spectrum_exponent(normal(50_000, 32)) == pytest.approx(0, abs=0.1)
    assert spectrum_exponent(normal(100, 1) * torch.ones(1, 8)) is None
    assert spectrum_exponent(torch.ones(5, 8)) is None


@pytest.mark.parametrize("rank", [1, 4, 16])
def test_lidar_of_classes_without_noise_is_the_number_of_their_directions(rank: int) -> None:
    means = within(normal(4_000, rank))
    assert lidar(means[:, None].expand(-1, 3, -1)) == pytest.approx(rank, rel=0.01)


def test_lidar_leaves_out_what_differs_between_views_of_one_image() -> None:
    axes = torch.linalg.qr(normal(WIDTH, WIDTH, seed=7)).Q
    means = normal(2_000, 4) @ axes[:, :4].T
    noisy = means[:, None] + normal(2_000, 8, 20, seed=1) @ axes[:, 20:40].T
    # RankMe takes the noise for 20 directions more.
    assert rank_me(noisy.flatten(0, 1)) > 20
    assert lidar(noisy) == pytest.approx(lidar(means[:, None].expand(-1, 8, -1)), rel=0.02)


def test_ranks_are_correlated_and_not_values() -> None:
    assert spearman([1, 2, 3, 4], [1, 10, 100, 1000]) == pytest.approx(1)
    assert spearman([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(-1)
    # Ranks 0, 1.5, 1.5, 3 and 0, 1, 2, 3: 4.5 / sqrt(4.5 * 5).
    assert spearman([1, 2, 2, 3], [1, 2, 3, 4]) == pytest.approx(4.5 / (4.5 * 5) ** 0.5)
    assert spearman([1, 1, 1], [1, 2, 3]) is None
    assert spearman([1, 2], [1, 2]) is None


def test_views_of_an_image_lie_together_and_an_encoder_has_all_signs(sample_test: Path) -> None:
    images = load(sample_test, Preprocessing(height=32, width=32))
    same = ViewRecipe(min_crop=1, aspect=1, flip=0, jitter=0, grey=0)
    drawn = views_drawn(images, same, seed=0).reshape(-1, VIEWS, 32, 32, 3)
    assert len(drawn) == min(len(images), 250)
    assert (drawn == drawn[:, :1]).all()
    assert (drawn[:, 0] == images.sample(250, 0).pixels).all()
    views = views_drawn(images, ViewRecipe(), seed=0)
    assert (views == views_drawn(images, ViewRecipe(), seed=0)).all()
    torch.manual_seed(0)
    encoder = build_encoder(EncoderRecipe(name="dim32", code_units=16), 32)
    few = images.sample(40, 0)
    found = label_free(encoder, few, ViewRecipe(), seed=0)
    assert found.lidar is not None
    assert 1 < found.lidar < 40
    assert set(found.named("fc")) == {"rankme_fc", "alpha_fc", "lidar_fc"}
    assert label_free(encoder, few, None, seed=0) == LabelFree(found.rank_me, found.alpha, None)
    assert np.isfinite(list(found.named("fc").values())).all()
