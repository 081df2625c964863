"""Held-out images with the training images that lie nearest to them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from training.data import ImageSet


@dataclass(frozen=True)
class Neighbours:
    """One query and what was found.

    Attributes:
        query: row of the held-out images.
        hits: rows of the training images, the nearest first.
        similarities: cosine of the query with each hit.
    """

    query: int
    hits: tuple[int, ...]
    similarities: tuple[float, ...]


def nearest(bank: Tensor, queries: Tensor, rows: list[int], k: int) -> tuple[Neighbours, ...]:
    """Find the k nearest of unit vectors `bank` [N, D] to some `rows` of unit vectors `queries` [Q, D]."""
    similarity, hits = (queries[rows] @ bank.T).topk(min(k, len(bank)), dim=1)
    return tuple(
        Neighbours(row, tuple(found), tuple(near))
        for row, found, near in zip(rows, hits.tolist(), similarity.tolist(), strict=True)
    )


def examples(images: ImageSet, count: int, seed: int) -> list[int]:
    """Draw rows to show by the seed; where there are labels, of as many classes as possible."""
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed)).tolist()
    if images.labels is None:
        return order[:count]
    seen: dict[int, int] = {}
    turn: list[tuple[int, int, int]] = []
    for row in order:
        label = int(images.labels[row])
        turn.append((seen.get(label, 0), len(turn), row))
        seen[label] = seen.get(label, 0) + 1
    # The first image of every class, then the second of every class, and so on.
    return [row for _, _, row in sorted(turn)[:count]]
