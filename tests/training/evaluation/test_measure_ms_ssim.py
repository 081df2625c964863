"""MS-SSIM: equal to its definition by slow loops, 1 for equal images, falling with noise."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from training.evaluation.measures.ms_ssim import ms_ssim, scale_weights

C1, C2 = 1e-4, 9e-4
WEIGHTS = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333]


def random_pair(side: int, seed: int = 0, channels: int = 3) -> tuple[Tensor, Tensor]:
    generator = Generator().manual_seed(seed)
    first = torch.rand(2, channels, side, side, generator=generator)
    return first, 0.7 * first + 0.3 * torch.rand(first.shape, generator=generator)


def slow(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """One pair of images [C, H, W], by loops over positions, in double precision."""
    window = np.exp([[-(i * i + j * j) / (2 * 1.5**2) for j in range(-3, 4)] for i in range(-3, 4)])
    window /= window.sum()
    sides: list[int] = []
    while first.shape[1] >> len(sides) >= 7 and len(sides) < 5:
        sides.append(first.shape[1] >> len(sides))
    value = 1.0
    for scale, side in enumerate(sides):
        terms = []
        for x, y in zip(first, second, strict=True):
            for row in range(side - 6):
                for column in range(side - 6):
                    a, b = (image[row : row + 7, column : column + 7] for image in (x, y))
                    mean_a, mean_b = (window * a).sum(), (window * b).sum()
                    variance_a, variance_b = (
                        (window * a * a).sum() - mean_a**2,
                        (window * b * b).sum() - mean_b**2,
                    )
                    covariance = (window * a * b).sum() - mean_a * mean_b
                    term = (2 * covariance + C2) / (variance_a + variance_b + C2)
                    if scale == len(sides) - 1:
                        term *= (2 * mean_a * mean_b + C1) / (mean_a**2 + mean_b**2 + C1)
                    terms.append(term)
        value *= np.mean(terms) ** (WEIGHTS[scale] / sum(WEIGHTS[: len(sides)]))
        first, second = (
            image.reshape(len(image), side // 2, 2, side // 2, 2).mean(axis=(2, 4))
            if side % 2 == 0
            else image
            for image in (first, second)
        )
    return float(value)


@pytest.mark.parametrize("side", [7, 16, 32])
def test_it_equals_its_definition_by_slow_loops(side: int) -> None:
    first, second = random_pair(side)
    for value, a, b in zip(ms_ssim(first, second), first, second, strict=True):
        assert value.item() == pytest.approx(slow(a.double().numpy(), b.double().numpy()), abs=1e-6)


@pytest.mark.parametrize("side", [7, 32, 96])
def test_equal_images_are_1(side: int) -> None:
    image, _ = random_pair(side)
    torch.testing.assert_close(ms_ssim(image, image), torch.ones(2).double())


def test_two_flat_images_by_hand() -> None:
    """Without contrast only the luminance of the coarsest scale is left."""
    first, second = torch.full((1, 3, 32, 32), 0.25), torch.full((1, 3, 32, 32), 0.75)
    luminance = (2 * 0.25 * 0.75 + C1) / (0.25**2 + 0.75**2 + C1)
    weight = 0.3001 / (0.0448 + 0.2856 + 0.3001)
    assert ms_ssim(first, second).item() == pytest.approx(luminance**weight, abs=1e-6)


def test_more_noise_is_less_similar() -> None:
    generator = Generator().manual_seed(0)
    image = torch.rand(4, 3, 32, 32, generator=generator)
    added = torch.randn(image.shape, generator=generator)
    values = [ms_ssim(image, image + level * added).mean().item() for level in (0.0, 0.05, 0.1, 0.2, 0.4)]
    assert values == sorted(values, reverse=True)
    assert len(set(values)) == 5


def test_it_is_symmetric() -> None:
    first, second = random_pair(32)
    torch.testing.assert_close(ms_ssim(first, second), ms_ssim(second, first))


def test_an_inverted_image_is_not_similar_at_all() -> None:
    image, _ = random_pair(32)
    assert ms_ssim(image, 1 - image).eq(0).all()


@pytest.mark.parametrize(
    ("side", "scales"), [(7, 1), (13, 1), (14, 2), (32, 3), (64, 4), (96, 4), (128, 5), (512, 5)]
)
def test_there_are_as_many_scales_as_windows_fit(side: int, scales: int) -> None:
    weights = scale_weights(side)
    assert len(weights) == scales
    assert math.fsum(weights) == pytest.approx(1)
    assert weights[-1] / weights[0] == pytest.approx(WEIGHTS[scales - 1] / WEIGHTS[0])


def test_five_scales_have_the_weights_of_the_paper() -> None:
    assert scale_weights(128) == pytest.approx(WEIGHTS, abs=1e-4)


def test_what_has_no_similarity_is_refused() -> None:
    with pytest.raises(ValueError, match="smaller than the window of 7"):
        ms_ssim(torch.zeros(1, 3, 6, 6), torch.zeros(1, 3, 6, 6))
    with pytest.raises(ValueError, match="have no similarity"):
        ms_ssim(torch.zeros(1, 3, 8, 8), torch.zeros(2, 3, 8, 8))
