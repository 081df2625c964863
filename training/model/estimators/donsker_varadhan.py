"""Donsker and Varadhan's bound, as in MINE (Belghazi et al. 2018; Hjelm et al. 2019, equation 2)."""

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


class DonskerVaradhan(Estimator):
    """E_joint[T] - log E_independent[e^T] of each patch position, averaged over the positions.

    The local objective is a mean over positions of one estimate for each (Hjelm et al. 2019,
    equation 8), so each position has a logarithm of its own. One logarithm over all positions would also
    be a bound, but by Jensen's inequality a looser one. In it a position with large scores hides the others.
    """

    def loss(self, scores: Tensor) -> Tensor:
        """Return minus the bound, in nats."""
        scores = check_scores(scores)
        own = joint(scores)
        kept = counted(own)
        mean = torch.where(kept, own, 0.0).sum(dim=0) / kept.sum(dim=0)
        return (_log_normaliser(scores).flatten() - mean).mean()

    def bound(self, scores: Tensor) -> Tensor:
        """Return the bound on this batch's pairs.

        A lower bound on the information as far as the mean of e^T is the true one; of a finite batch,
        where that mean rests on few large terms, it is overestimated (McAllester and Stratos 2020).
        """
        return -self.loss(scores).detach()

    def log_ratio(self, scores: Tensor) -> Tensor:
        """Return T minus the log-mean-exp of its position: the optimal T is free up to one constant."""
        scores = check_scores(scores)
        return scores - _log_normaliser(scores)


def _log_normaliser(scores: Tensor) -> Tensor:
    """Compute log E_independent[e^T] of each position: [B, B, P] to [1, 1, P]."""
    return log_mean_exp(independent(scores), dim=(0, 1))
