"""Embeddings on a plane: the two directions in which a sample of them differs most (principal components)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.index.items import Metadata

MOST_POINTS = 1000
"""Most items of a plane: the eigenvectors of so many vectors, of any length, take well under a second."""


@dataclass(frozen=True)
class SampledItem:
    """One item of a sample; fields as in `service.index.items.StoredItem`, and whether it has a thumbnail."""

    id: str
    metadata: Metadata
    thumbnail: bool
    vector: NDArray[np.float32]


@dataclass(frozen=True)
class Plane:
    """Plane through the mean of some vectors.

    Attributes:
        mean: float32 [D].
        axes: float32 [2, D], of length one and at right angles; zero where the vectors differ in none.
        shares: of the vectors' variance along each axis, float32 [2].
        points: float32 [N, 2], the vectors less the mean, along the axes.
    """

    mean: NDArray[np.float32]
    axes: NDArray[np.float32]
    shares: NDArray[np.float32]
    points: NDArray[np.float32]


def plane_of(vectors: NDArray[np.float32]) -> Plane:
    """Fit the plane of vectors [N, D], N at least 1. Equal vectors give equal planes, to the sign.

    The eigenvectors are those of the smaller Gram matrix. The largest number of each axis is positive.
    """
    mean = vectors.mean(axis=0, dtype=np.float64)
    centred = vectors - mean
    count, dimensions = centred.shape
    if count < dimensions:
        values, vectors_of_items = np.linalg.eigh(centred @ centred.T)
        axes = vectors_of_items[:, -2:].T[::-1] @ centred
    else:
        values, directions = np.linalg.eigh(centred.T @ centred)
        axes = directions[:, -2:].T[::-1]
    axes = np.concatenate([axes, np.zeros((2 - len(axes), dimensions))])
    found = np.zeros(2)
    found[: min(2, len(values))] = np.maximum(values[-2:][::-1], 0)
    whole = float((centred**2).sum())
    shares = found / whole if whole else np.zeros(2)
    lengths = np.linalg.norm(axes, axis=1, keepdims=True)
    # Vectors that do not differ leave rounding errors, which are not a direction.
    real = (shares > 1e-9)[:, None] & (lengths > 0)
    axes = np.where(real, axes / np.where(lengths > 0, lengths, 1), 0)
    largest = axes[np.arange(2), np.abs(axes).argmax(axis=1)]
    axes = axes * np.where(largest < 0, -1, 1)[:, None]
    return Plane(
        mean.astype(np.float32),
        axes.astype(np.float32),
        shares.astype(np.float32),
        np.ascontiguousarray(centred @ axes.T, np.float32),
    )


def plane_of_items(items: Sequence[SampledItem]) -> Plane | None:
    """Fit the plane of a sample; None where it is empty."""
    return plane_of(np.stack([item.vector for item in items])) if items else None
