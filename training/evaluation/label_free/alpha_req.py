"""Alpha-ReQ: the exponent of the power law that the spectrum of the covariance follows.

Agrawal et al. 2022 (NeurIPS, "alpha-ReQ: assessing representation quality in self-supervised learning by
measuring eigenspectrum decay") find it near 1 in good encoders: larger where few directions are used, smaller
where noise fills all of them. The fit is that of Stringer et al. 2019 (Nature 571): a line through the
logarithms of eigenvalues over those of their ranks, each weighted by one over its rank.
"""

import torch
from torch import Tensor

# The first eigenvalues are of no power law yet, and the last ones are noise of few images.
_FIRST, _LAST = 5, 100


def spectrum_exponent(vectors: Tensor) -> float | None:
    """Fit the exponent of the eigenvalues of the covariance of [N, D], N of 2 or more.

    Ranks 5 to 100 are fitted, or as many as there are; all of them where there are fewer than 20. None with
    fewer than two directions that vary.
    """
    centred = (vectors - vectors.mean(dim=0)).double()
    # Of the smaller side: the eigenvalues above 0 are the same.
    gram = centred.T @ centred if len(vectors) > vectors.shape[1] else centred @ centred.T
    values = torch.linalg.eigvalsh(gram).flip(0)
    values = values[values > 1e-12 * values[0]][: len(vectors) - 1]
    first = _FIRST if len(values) >= 4 * _FIRST else 1
    ranks = torch.arange(first, min(_LAST, len(values)) + 1, dtype=torch.float64)
    if len(ranks) < 2:
        return None
    x, y, weights = ranks.log(), values[first - 1 : first - 1 + len(ranks)].log(), 1 / ranks
    x, y = (each - (weights * each).sum() / weights.sum() for each in (x, y))
    return float(-(weights * x * y).sum() / (weights * x * x).sum())
