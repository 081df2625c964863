"""Global objective, DIM(G) (Hjelm et al. 2019, equation 1 and figure 2): the whole map and the code."""

from torch import Tensor, nn

from training.distributed import ranks
from training.model.critics import Critic
from training.model.estimators import Estimator
from training.model.objectives.value import ObjectiveValue


class Global(nn.Module):
    """Mutual information between the whole feature map, flattened to one patch, and a global vector."""

    def __init__(self, critic: Critic, estimator: Estimator) -> None:
        super().__init__()
        self.critic = critic
        self._estimator = estimator

    def forward(self, features: Tensor, target: Tensor) -> ObjectiveValue:
        """Score features [B, C, M, M] against target [B, Y]; row b of both comes from one image."""
        scores = ranks.gather(self.critic(features.flatten(1).unsqueeze(2), target))
        return ObjectiveValue(self._estimator.loss(scores), self._estimator.bound(scores.detach()))
