"""From which cosine on neighbours are right, on points whose answer is known."""

import numpy as np
import pytest

from training.errors import DataError
from training.evaluation import neighbour_precision
from training.evaluation.neighbour_precision import isotonic, measure_neighbours


def test_an_isotonic_fit_does_not_fall_and_keeps_the_mean() -> None:
    once = np.ones(5, np.int64)
    np.testing.assert_allclose(isotonic(np.array([0.0, 1.0, 0.0, 1.0, 1.0]), once), [0, 0.5, 0.5, 1, 1])
    rng = np.random.default_rng(0)
    values, weights = rng.random(50), rng.integers(1, 9, 50)
    fitted = isotonic(values, weights)
    assert (np.diff(fitted) >= 0).all()
    assert np.average(fitted, weights=weights) == pytest.approx(np.average(values, weights=weights))
    # A weight is a number of equal values.
    np.testing.assert_allclose(
        np.repeat(fitted, weights),
        isotonic(np.repeat(values, weights), np.ones(weights.sum(), np.int64)),
    )


def test_neighbours_of_one_cosine_are_counted_together() -> None:
    embeddings = np.tile(np.array([[1, 0]], np.float32), (9, 1))
    found = measure_neighbours(embeddings, np.array([0, 1, 2, 3, 4, 5, 6, 7, 7]), "points", neighbours=8)
    assert (found.cosine, found.above) == (1.0, None)
    assert found.below == pytest.approx(2 / 72)


def test_images_are_searched_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    embeddings = rng.standard_normal((40, 8)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    labels = rng.integers(0, 3, 40)
    whole = measure_neighbours(embeddings, labels, "points", neighbours=5)
    monkeypatch.setattr(neighbour_precision, "_ROWS", 7)
    assert measure_neighbours(embeddings, labels, "points", neighbours=5) == whole


def test_classes_that_lie_apart_are_told_apart_at_the_gap() -> None:
    angles = np.radians([0, 5, 10, 90, 95, 100])
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    found = measure_neighbours(embeddings, np.array([0, 0, 0, 1, 1, 1]), "points", neighbours=5)
    # The farthest of a class are ten degrees apart, the nearest of two classes eighty.
    assert found.cosine == pytest.approx(np.cos(np.radians(10)), abs=1e-6)
    assert (found.above, found.below) == (1.0, 0.0)
    assert (found.neighbours, found.images, found.split) == (5, 6, "points")


def test_where_no_neighbour_is_right_no_cosine_is_enough() -> None:
    embeddings = np.eye(4, dtype=np.float32)
    found = measure_neighbours(embeddings, np.arange(4), "points", neighbours=2)
    assert (found.cosine, found.above, found.below) == (1.0, None, 0.0)


def test_too_few_images_are_refused() -> None:
    with pytest.raises(DataError, match=r"4 images are too few for 4 neighbours"):
        measure_neighbours(np.eye(4, dtype=np.float32), np.arange(4), "points", neighbours=4)
