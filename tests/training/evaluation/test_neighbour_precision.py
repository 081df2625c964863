"""From which cosine on neighbours are right, on points whose answer is known."""

import numpy as np
import pytest

from training.errors import DataError
from training.evaluation.neighbour_precision import isotonic, measure_neighbours


def test_an_isotonic_fit_does_not_fall_and_keeps_the_mean() -> None:
    np.testing.assert_allclose(isotonic(np.array([0.0, 1.0, 0.0, 1.0, 1.0])), [0, 0.5, 0.5, 1, 1])
    values = np.random.default_rng(0).random(50)
    fitted = isotonic(values)
    assert (np.diff(fitted) >= 0).all()
    assert fitted.mean() == pytest.approx(values.mean())


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
