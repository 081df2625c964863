"""How often the neighbours of labelled images are of their class, by their cosine."""

import numpy as np
from numpy.typing import NDArray

from contract.neighbour_measure import NeighbourMeasure
from training.errors import DataError

Floats = NDArray[np.float64]
_EVEN = 0.5
# Rows of similarities that are held at a time.
_ROWS = 1024


def measure_neighbours(
    embeddings: NDArray[np.float32], labels: NDArray[np.int64], split: str, neighbours: int
) -> NeighbourMeasure:
    """Find the cosine from which on a neighbour is at least as likely right as wrong.

    Each image is searched by among the others. The share of right neighbours is taken to rise with the
    cosine: it is the isotonic regression, by pooling adjacent violators (Barlow et al. 1972).

    Args:
        embeddings: float32 [N, D], of length one.
        labels: int64 [N].
        split: which images these are, in words.
        neighbours: of each image.

    Raises:
        DataError: there are too few images.
    """
    if len(embeddings) <= neighbours:
        raise DataError(
            f"{len(embeddings)} images are too few for {neighbours} neighbours of each. "
            "Name more images, or lower --neighbours."
        )
    found, right = _nearest(embeddings, labels, neighbours)
    # Neighbours with the same cosine are told apart by nothing, so each cosine counts once.
    cosines, places, counts = np.unique(found, return_inverse=True, return_counts=True)
    shares = np.bincount(places, weights=right) / counts
    even = isotonic(shares, counts) >= _EVEN
    cosine = float(np.clip(cosines[even.argmax()] if even.any() else 1.0, -1, 1))
    above = even[places]
    return NeighbourMeasure(
        cosine=cosine,
        above=_share(right[above]),
        below=_share(right[~above]),
        neighbours=neighbours,
        images=len(embeddings),
        split=split,
    )


def isotonic(values: Floats, weights: NDArray[np.int64]) -> Floats:
    """Fit values [N] by ones that do not fall, with the least squares weighted by `weights` [N]."""
    means: list[float] = []
    sizes: list[tuple[int, int]] = []
    for value, own in zip(values, weights, strict=True):
        mean, weight, count = float(value), int(own), 1
        while means and means[-1] >= mean:
            earlier, (size, number) = means.pop(), sizes.pop()
            mean = (mean * weight + earlier * size) / (weight + size)
            weight, count = weight + size, count + number
        means.append(mean)
        sizes.append((weight, count))
    return np.repeat(means, [count for _, count in sizes])


def _nearest(
    embeddings: NDArray[np.float32], labels: NDArray[np.int64], neighbours: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Find the cosines of each image's neighbours, and whether these are of its class, [N * neighbours]."""
    found, right = [], []
    for start in range(0, len(embeddings), _ROWS):
        cosines = embeddings[start : start + _ROWS] @ embeddings.T
        rows = np.arange(len(cosines))
        cosines[rows, start + rows] = -np.inf
        nearest = np.argsort(-cosines, axis=1, kind="stable")[:, :neighbours]
        found.append(np.take_along_axis(cosines, nearest, axis=1).ravel())
        right.append((labels[nearest] == labels[start + rows][:, None]).ravel())
    return np.concatenate(found), np.concatenate(right)


def _share(right: NDArray[np.bool_]) -> float | None:
    return float(right.mean()) if len(right) else None
