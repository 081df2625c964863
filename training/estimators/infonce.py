"""InfoNCE (van den Oord et al. 2018, equation 4; Hjelm et al. 2019, equation 5)."""

import math

import torch
from torch import Tensor

from training.estimators.estimator import Estimator, check_scores, positives


class InfoNCE(Estimator):
    """Picks the right global vector for each patch among those of the batch.

    Each patch normalises over the batch's B global vectors; patches never compete with one another.
    """

    def loss(self, scores: Tensor) -> Tensor:
        """Mean of -log softmax over b at b = a."""
        scores = check_scores(scores)
        return (torch.logsumexp(scores, dim=1) - positives(scores)).mean()

    def bound(self, scores: Tensor) -> Tensor:
        """log B - loss, at most log B (van den Oord et al. 2018, section 2.3)."""
        candidates = torch.isfinite(scores).sum(dim=1).float().log().mean()
        return (candidates - self.loss(scores)).detach()

    def log_ratio(self, scores: Tensor) -> Tensor:
        """T less the log-mean-exp over the batch, which removes the unknown function of the patch."""
        scores = check_scores(scores)
        return scores - (torch.logsumexp(scores, dim=1, keepdim=True) - math.log(scores.shape[1]))
