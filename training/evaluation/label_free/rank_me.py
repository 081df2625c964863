"""RankMe: a smooth rank of vectors (Garrido et al. 2023, arXiv 2210.02885, equation 1)."""

import torch
from torch import Tensor

_EPSILON = 1e-7


def rank_me(vectors: Tensor) -> float:
    """Compute exp of the entropy of normalised singular values of [N, D], which are not centred.

    Between 1, where all vectors lie along one direction, and min(N, D). `effective_rank` is the same of
    centred vectors: a constant added to all of them is one direction here and none there.
    """
    return entropy_rank(torch.linalg.svdvals(vectors))


def entropy_rank(spectrum: Tensor) -> float:
    """Compute exp of the entropy of a spectrum of values of 0 and more, [D], as a distribution."""
    share = spectrum / spectrum.sum().clamp_min(torch.finfo(spectrum.dtype).tiny) + _EPSILON
    return float(torch.exp(-(share * share.log()).sum()))
