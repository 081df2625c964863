"""Planes of vectors: the axes of a known ellipsoid, and vectors that span none."""

import numpy as np
import pytest

from service.index.plane import plane_of


@pytest.mark.parametrize(("count", "dimensions"), [(400, 20), (30, 200)])
def test_the_axes_of_an_ellipsoid_are_found_in_their_order(count: int, dimensions: int) -> None:
    rng = np.random.default_rng(1)
    basis = np.linalg.qr(rng.standard_normal((dimensions, dimensions)))[0]
    lengths = np.full(dimensions, 0.01)
    lengths[:2] = 5, 2
    mean = rng.standard_normal(dimensions)
    vectors = ((rng.standard_normal((count, dimensions)) * lengths) @ basis.T + mean).astype(np.float32)
    plane = plane_of(vectors)
    for axis, true in zip(plane.axes, basis.T[:2], strict=True):
        assert abs(axis @ true) == pytest.approx(1, abs=0.02)
        assert axis[np.abs(axis).argmax()] > 0
    np.testing.assert_allclose(plane.axes @ plane.axes.T, np.eye(2), atol=1e-5)
    np.testing.assert_allclose(plane.points, (vectors - plane.mean) @ plane.axes.T, atol=1e-4)
    assert plane.shares.sum() == pytest.approx(1, abs=0.01)
    variance = np.var(plane.points, axis=0) / np.var(vectors, axis=0).sum()
    np.testing.assert_allclose(plane.shares, variance, atol=1e-4)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_equal_vectors_lie_in_one_point(count: int) -> None:
    plane = plane_of(np.full((count, 8), 0.3, np.float32))
    assert not plane.axes.any()
    assert not plane.shares.any()
    assert plane.points.tolist() == [[0, 0]] * count


def test_two_vectors_lie_on_a_line_and_one_dimension_has_one_axis() -> None:
    plane = plane_of(np.array([[1, 0, 0], [0, 1, 0]], np.float32))
    assert plane.shares[0] == pytest.approx(1)
    assert not plane.axes[1].any()
    narrow = plane_of(np.array([[1], [2], [4]], np.float32))
    assert narrow.axes.shape == (2, 1)
    assert narrow.shares.tolist() == [1, 0]
