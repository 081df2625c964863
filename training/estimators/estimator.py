"""What an estimator of mutual information offers to objectives."""

from abc import ABC, abstractmethod

from torch import Tensor

from training.errors import RecipeError


class Estimator(ABC):
    """Reads a critic's scores of joint and independent pairs.

    Scores are float [A, B, P]: T of patch p of image a and the global vector of image b. Pairs with
    a = b come from the joint distribution, all others from the product of the marginals. A score of
    -inf marks a pair that counts as neither; it is left out everywhere, so A = B, and at least one
    negative has to remain for each a.
    """

    @abstractmethod
    def loss(self, scores: Tensor) -> Tensor:
        """The scalar to be minimised, float32.

        Raises:
            RecipeError: there is no negative, because the batch has fewer than two images.
        """

    def bound(self, scores: Tensor) -> Tensor | None:
        """Lower bound on the mutual information in nats; None where the estimator gives none."""
        return None

    @abstractmethod
    def log_ratio(self, scores: Tensor) -> Tensor:
        """What T says about log p(a, b) / (p(a) p(b)) once it is optimal, in nats, [A, B, P].

        For InfoNCE that is known only up to a function of the patch.
        """


def check_scores(scores: Tensor) -> Tensor:
    """The scores in float32, which exponentials need even under autocast.

    Raises:
        RecipeError: they are not square, or have no negatives.
    """
    if scores.ndim != 3 or scores.shape[0] != scores.shape[1] or scores.shape[0] < 2:
        raise RecipeError(
            f"Scores have the shape {tuple(scores.shape)}; an estimator needs [B, B, P] with B of 2 or more, "
            "because negatives come from the batch."
        )
    return scores.float()


def positives(scores: Tensor) -> Tensor:
    """The scores of joint pairs: [B, B, P] to [B, P]."""
    return scores.diagonal(dim1=0, dim2=1).transpose(0, 1)
