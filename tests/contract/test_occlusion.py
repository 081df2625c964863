"""Contribution by occlusion of features, on trunks whose informative patches are known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from contract.occlusion import Occlusion, covered

GRIDS = [(8, 8), (4, 6), (14, 11), (1, 1)]
CHANNELS = 5
# Of a grey image in these tests.
ORIGIN = np.full(4, 0.5, np.float32)


def features(rows: int, columns: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((CHANNELS, rows, columns)).astype(np.float32)


def mapped(given: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """The map by the trunk code = sum of each patch's weight [M, M] times a projection of it."""
    occlusion = Occlusion(*given.shape[1:])
    projection = np.random.default_rng(9).standard_normal((CHANNELS, len(ORIGIN))).astype(np.float32)
    copies = covered(given, occlusion.keep)
    codes = np.einsum("kcij,ij,cy->ky", copies, weights, projection) + ORIGIN
    return occlusion.contribution(codes.astype(np.float32), ORIGIN)


@pytest.mark.parametrize(("rows", "columns"), GRIDS)
def test_every_patch_is_covered_and_the_cost_is_bounded(rows: int, columns: int) -> None:
    keep = Occlusion(rows, columns).keep
    assert keep[0].all()
    assert (~keep[1:]).any(axis=0).all()
    assert len(keep) == len(Occlusion(rows, columns)) <= 65
    # Patch by patch in a small map: the middle of the window is its own.
    if max(rows, columns) <= 8:
        own = np.arange(rows * columns)
        assert not keep[1:].reshape(-1, rows * columns)[own, own].any()


def test_a_patch_whose_window_the_code_ignores_contributes_nothing() -> None:
    weights = np.zeros((8, 8), np.float32)
    weights[1, 6] = 1
    found = mapped(features(8, 8), weights)
    near = np.zeros((8, 8), np.bool_)
    near[0:3, 5:8] = True
    np.testing.assert_allclose(found[~near], 0, atol=1e-6)
    assert (found[near] > 0.01).all()


def test_repeated_patches_contribute_nothing_and_what_stands_out_does() -> None:
    given = np.repeat(np.repeat(features(1, 1), 8, axis=1), 8, axis=2)
    ones = np.ones((8, 8), np.float32)
    np.testing.assert_allclose(mapped(given, ones), 0, atol=1e-6)
    weights = np.ones((8, 8), np.float32)
    weights[5, 2] = 8
    given[:, 5, 2] = features(1, 1, seed=1)[:, 0, 0]
    found = mapped(given, weights)
    assert found[4:7, 1:4].min() > 3 * np.delete(found, [4, 5, 6], axis=0).max()


@pytest.mark.parametrize("axis", [0, 1])
def test_a_mirrored_image_has_the_mirrored_map(axis: int) -> None:
    given = features(8, 8)
    weights = np.abs(features(8, 8, seed=2))[0]
    turned = mapped(np.flip(given, axis + 1), np.flip(weights, axis))
    np.testing.assert_allclose(turned, np.flip(mapped(given, weights), axis), atol=1e-5)


def test_a_code_that_is_that_of_a_grey_image_has_a_map_of_zeros() -> None:
    occlusion = Occlusion(2, 2)
    copies = np.random.default_rng(0).standard_normal((len(occlusion), 4)).astype(np.float32)
    assert (occlusion.contribution(copies, copies[0]) == 0).all()
    assert (occlusion.contribution(copies, copies[1]).ravel()[0]) == pytest.approx(1)
