"""Connected components of pairs: groups of items that are near-duplicates of each other, one by one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class DuplicateGroup:
    """Near-duplicates.

    Attributes:
        ids: sorted, two or more.
        least_score: the lowest cosine of a pair that joins them.
    """

    ids: tuple[str, ...]
    least_score: float


class DuplicateGroups:
    """Disjoint sets of items by their numbers, joined by many pairs at a time.

    Each set is a tree whose root is its smallest number; a round hooks roots to smaller ones (Shiloach and
    Vishkin 1982).
    """

    def __init__(self, ids: Sequence[str]) -> None:
        """Begin with each item alone."""
        self._ids = ids
        self._parents: Numbers = np.arange(len(ids))
        self._least = np.full(len(ids), np.inf)

    def join(self, ones: ArrayLike, others: ArrayLike, scores: ArrayLike) -> None:
        """Put the items of each pair into one set: int64 [P], int64 [P], float [P]."""
        first, second = np.asarray(ones, np.int64), np.asarray(others, np.int64)
        np.minimum.at(self._least, first, np.asarray(scores, np.float64))
        while len(first):
            first, second = self._roots(first), self._roots(second)
            apart = first != second
            first, second = first[apart], second[apart]
            np.minimum.at(self._parents, np.maximum(first, second), np.minimum(first, second))

    def __iter__(self) -> Iterator[DuplicateGroup]:
        """Give the groups, the largest first, equal ones by their first id."""
        roots = self._roots(np.arange(len(self._ids)))
        order = np.argsort(roots, kind="stable")
        starts = np.flatnonzero(np.diff(roots[order], prepend=-1))
        found = []
        for members in np.split(order, starts[1:]) if len(order) else []:
            if len(members) > 1:
                ids = tuple(sorted(self._ids[place] for place in members))
                found.append(DuplicateGroup(ids, min(1.0, float(self._least[members].min()))))
        return iter(sorted(found, key=lambda group: (-len(group.ids), group.ids)))

    def _roots(self, items: Numbers) -> Numbers:
        """Find the roots [N] of items [N], and let the items point at them."""
        roots = self._parents[items]
        while True:
            above = self._parents[roots]
            if (above == roots).all():
                break
            roots = above
        self._parents[items] = roots
        return roots
