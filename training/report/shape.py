"""How vectors fill the space that they lie in: what tells a collapsed encoder from a healthy one."""

from dataclasses import dataclass

import torch
from torch import Tensor

from training.evaluation.effective_rank import effective_rank

# A dimension that varies a hundred times less than the average one says nothing about an image.
_DEAD = 1e-4


@dataclass(frozen=True)
class VectorShape:
    """Statistics of the vectors of one layer over images.

    Attributes:
        rank: effective rank, the number of directions that the vectors use (Roy and Vetterli 2007).
        directions: the largest rank that so many vectors of this length can have.
        dead: share of dimensions whose variance is below a ten-thousandth of the mean one.
        spread: root mean square distance from the mean vector over that from 0: between 0, where all
            images get one and the same vector, and 1, where the mean is 0.
        variances: of each dimension, float32 [D].
    """

    rank: float
    directions: int
    dead: float
    spread: float
    variances: Tensor


def shape_of(vectors: Tensor) -> VectorShape:
    """Measure vectors, float32 [N, D] with N of 2 or more."""
    variances = vectors.var(dim=0)
    length = vectors.square().sum(dim=1).mean()
    apart = (vectors - vectors.mean(dim=0)).square().sum(dim=1).mean()
    return VectorShape(
        rank=effective_rank(vectors),
        directions=min(vectors.shape[1], len(vectors) - 1),
        dead=float((variances <= _DEAD * variances.mean()).float().mean()),
        spread=float((apart / length.clamp_min(torch.finfo(length.dtype).tiny)).sqrt()),
        variances=variances,
    )
