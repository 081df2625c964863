"""InfoNCE (van den Oord et al. 2018, equation 4; Hjelm et al. 2019, equation 5)."""

import torch
from torch import Tensor

from training.model.estimators.estimator import (
    Estimator,
    check_scores,
    counted,
    independent,
    joint,
    log_mean_exp,
)


class InfoNCE(Estimator):
    """Picks the right global vector for each patch among those of the batch.

    Each patch normalises over the batch's B global vectors; patches never compete with one another.
    """

    def loss(self, scores: Tensor) -> Tensor:
        """Return the mean over joint pairs of -log softmax over b at b = a."""
        scores = check_scores(scores)
        own = joint(scores)
        return (torch.logsumexp(scores, dim=1) - own)[counted(own)].mean()

    def bound(self, scores: Tensor) -> Tensor:
        """Return log B - loss, at most log B (van den Oord et al. 2018, section 2.3)."""
        scores = check_scores(scores)
        own = joint(scores)
        return (own - log_mean_exp(scores, dim=1).squeeze(1))[counted(own)].mean().detach()

    def log_ratio(self, scores: Tensor) -> Tensor:
        """Return T minus its log-mean-exp over the batch's other global vectors.

        The optimal T is the log ratio up to any function of the patch, which this removes: the mean of
        the ratio over independent pairs is 1.
        """
        scores = check_scores(scores)
        return scores - log_mean_exp(independent(scores), dim=1)
