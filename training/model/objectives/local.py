"""Local objective, DIM(L) (Hjelm et al. 2019, equation 8): every patch shall tell which code is its own."""

import torch
from torch import Generator, Tensor, nn

from training.distributed import ranks
from training.model.critics import Critic
from training.model.estimators import Estimator
from training.model.objectives.value import ObjectiveValue


class Local(nn.Module):
    """Mean over patches of the mutual information between a patch and a global vector.

    Args:
        positions: patches drawn from a map at each step; None takes all. The mean over random positions
            has the same expectation at a fraction of the arithmetic.
    """

    def __init__(self, critic: Critic, estimator: Estimator, positions: int | None) -> None:
        super().__init__()
        self.critic = critic
        self._estimator = estimator
        self._positions = positions

    def forward(self, features: Tensor, target: Tensor, generator: Generator) -> ObjectiveValue:
        """Score patches of features [B, C, M, M] against target [B, Y]; rows b are of one image."""
        # Channels last, as the map lies in memory: picking patches, and the gradient's way back, copy rows.
        patches = features.permute(0, 2, 3, 1).flatten(1, 2)
        count = patches.shape[1]
        if self._positions is not None and self._positions < count:
            chosen = torch.randperm(count, generator=generator)[: self._positions]
            patches = patches.index_select(1, chosen.to(patches.device))
        scores = ranks.gather(self.critic(patches.transpose(1, 2), target))
        return ObjectiveValue(self._estimator.loss(scores), self._estimator.bound(scores.detach()))
