"""LiDAR: a rank of what tells images apart, not views of an image (Thilak et al. 2024, arXiv 2312.04000)."""

import torch
from torch import Tensor

from training.evaluation.label_free.rank_me import entropy_rank

# Added to the covariance within images, as by the authors (section 4.2).
_RIDGE = 1e-4


def lidar(vectors: Tensor) -> float:
    """Compute the smooth rank of the linear discriminant analysis whose classes are images, [N, V, D].

    It is exp of the entropy of the eigenvalues of W^-1/2 B W^-1/2: B is the covariance of the images' mean
    vectors, W the mean covariance of the V views of an image, V of 2 or more. Directions that vary between
    views of one image count little. Between 1 and min(N - 1, D).
    """
    count, views, width = vectors.shape
    wide = vectors.double()
    means = wide.mean(dim=1)
    apart = means - means.mean(dim=0)
    within = (wide - means[:, None]).reshape(-1, width)
    covariance = within.T @ within / (count * (views - 1))
    values, axes = torch.linalg.eigh(covariance)
    whitened = apart @ axes / (values.clamp_min(0) + _RIDGE).sqrt()
    # Squared singular values are the eigenvalues that are not 0.
    return entropy_rank(torch.linalg.svdvals(whitened).square() / max(1, count - 1))
