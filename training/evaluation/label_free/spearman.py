"""Correlation of ranks (Spearman 1904): whether one figure orders runs as another does."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def spearman(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Correlate the ranks of two figures of the same runs, ties at their mean rank.

    None where either is the same for all runs, or where there are fewer than three.
    """
    if len(one) < 3:
        return None
    ranks = [_ranks(np.asarray(values, np.float64)) for values in (one, other)]
    first, second = (each - each.mean() for each in ranks)
    length = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum()) / length if length else None


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    below = (values[None] < values[:, None]).sum(axis=1)
    equal = (values[None] == values[:, None]).sum(axis=1)
    ranks: NDArray[np.float64] = below + (equal - 1) / 2
    return ranks
