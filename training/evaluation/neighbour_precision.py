"""How often the neighbours of labelled images are of their class, by their cosine."""

import numpy as np
from numpy.typing import NDArray

from contract.neighbour_measure import NeighbourMeasure
from training.errors import DataError

Floats = NDArray[np.float64]
_EVEN = 0.5


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
    cosines = (embeddings @ embeddings.T).astype(np.float64)
    np.fill_diagonal(cosines, -np.inf)
    nearest = np.argsort(-cosines, axis=1, kind="stable")[:, :neighbours]
    found = np.take_along_axis(cosines, nearest, axis=1).ravel()
    right = (labels[nearest] == labels[:, None]).ravel()
    order = np.argsort(found, kind="stable")
    found, right = found[order], right[order]
    even = isotonic(right.astype(np.float64)) >= _EVEN
    # Where none is, the threshold is the largest that there is: nothing is to be trusted.
    cosine = float(np.clip(found[even.argmax()] if even.any() else 1.0, -1, 1))
    above = found >= cosine
    return NeighbourMeasure(
        cosine=cosine,
        above=_share(right[above]),
        below=_share(right[~above]),
        neighbours=neighbours,
        images=len(embeddings),
        split=split,
    )


def isotonic(values: Floats) -> Floats:
    """Fit values [N] by ones that do not fall, with the least squares."""
    means: list[float] = []
    counts: list[int] = []
    for value in values:
        mean, count = float(value), 1
        while means and means[-1] >= mean:
            earlier, size = means.pop(), counts.pop()
            mean = (mean * count + earlier * size) / (count + size)
            count += size
        means.append(mean)
        counts.append(count)
    return np.repeat(means, counts)


def _share(right: NDArray[np.bool_]) -> float | None:
    return float(right.mean()) if len(right) else None
