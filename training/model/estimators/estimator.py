"""What an estimator of mutual information offers to objectives, and how pairs are told apart."""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from training.errors import RecipeError


class Estimator(ABC):
    """Reads a critic's scores of joint and independent pairs.

    Scores are float [B, B, P]: T of patch p of image a and the global vector of image b. Pairs with
    a = b come from the joint distribution, all others from the product of the marginals. A score of
    -inf marks a pair that counts as neither; it is left out everywhere. At least one independent pair
    has to remain for each a and p, and one joint pair for each p.
    """

    @abstractmethod
    def loss(self, scores: Tensor) -> Tensor:
        """Return the scalar to be minimised, float32.

        Raises:
            RecipeError: there is no negative, because the batch has fewer than two images.
        """

    @abstractmethod
    def bound(self, scores: Tensor) -> Tensor | None:
        """Lower bound on the mutual information in nats, detached; None where the estimator gives none."""

    @abstractmethod
    def log_ratio(self, scores: Tensor) -> Tensor:
        """Read log p(a, b) / (p(a) p(b)) off T, were it optimal, in nats, [B, B, P].

        -inf stays -inf.
        """


def check_scores(scores: Tensor) -> Tensor:
    """Check the scores, and return them in float32, which exponentials need even under autocast.

    Raises:
        RecipeError: they are not square, or have no negatives.
    """
    if scores.ndim != 3 or scores.shape[0] != scores.shape[1] or scores.shape[0] < 2:
        raise RecipeError(
            f"Scores have the shape {tuple(scores.shape)}; an estimator needs [B, B, P] with B of 2 or more, "
            "because negatives come from the batch."
        )
    return scores.float()


def counted(scores: Tensor) -> Tensor:
    """Tell which scores are not masked, bool of the same shape. NaN counts, so a broken critic shows."""
    return scores != -math.inf


def joint(scores: Tensor) -> Tensor:
    """Take the scores of joint pairs: [B, B, P] to [B, P]."""
    return scores.diagonal(dim1=0, dim2=1).transpose(0, 1)


def independent(scores: Tensor) -> Tensor:
    """Return the scores [B, B, P] with the joint pairs masked too."""
    own = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    return scores.masked_fill(own.unsqueeze(2), -math.inf)


def log_mean_exp(scores: Tensor, dim: int | tuple[int, ...]) -> Tensor:
    """Compute log of the mean of e^T over the scores along `dim` that are not masked; dimensions are kept."""
    number = counted(scores).sum(dim, keepdim=True)
    return torch.logsumexp(scores, dim, keepdim=True) - number.log()
