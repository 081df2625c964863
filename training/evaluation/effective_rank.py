"""Effective rank: how many directions a set of vectors makes use of."""

import torch
from torch import Tensor


def effective_rank(vectors: Tensor) -> float:
    """Compute exp of the entropy of normalised singular values of centred [N, D] (Roy and Vetterli 2007).

    Between 1 and D; near 1 means that the encoder has collapsed onto a line.
    """
    singular = torch.linalg.svdvals(vectors - vectors.mean(dim=0))
    share = singular / singular.sum().clamp_min(1e-12)
    return float(torch.exp(-(share * share.clamp_min(1e-12).log()).sum()))
