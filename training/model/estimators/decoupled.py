"""Decoupled InfoNCE: the joint pair is not among its own negatives (Yeh et al. 2022)."""

from torch import Tensor

from training.model.estimators.estimator import check_scores, counted, independent, joint, log_mean_exp
from training.model.estimators.infonce import InfoNCE


class DecoupledInfoNCE(InfoNCE):
    """Donsker and Varadhan's bound with one logarithm for each patch.

    InfoNCE weighs the gradient of a pair by how unsure its softmax still is, so with few negatives, all of
    them easy, a patch soon teaches nothing. Without the joint pair in the sum that weight is 1.
    """

    def loss(self, scores: Tensor) -> Tensor:
        """Average over joint pairs the patch's log-mean-exp over the other global vectors, less T."""
        scores = check_scores(scores)
        own = joint(scores)
        normaliser = log_mean_exp(independent(scores), dim=1).squeeze(1)
        return (normaliser - own)[counted(own)].mean()
