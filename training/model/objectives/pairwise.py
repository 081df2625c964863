"""Pairwise objective: the global vectors of an image's two views shall know each other (Chen et al. 2020)."""

import math

import torch
from torch import Tensor, nn

from training.distributed import ranks
from training.model.critics import Projection
from training.model.estimators import Estimator
from training.model.objectives.value import ObjectiveValue


class Pairwise(nn.Module):
    """Mutual information between two views' global vectors.

    Both views pass one projection, and the negatives of a vector are all others of both views: of the
    2B x 2B scores, the diagonal holds the pairs of one image, and a vector with itself is left out.
    """

    def __init__(self, target_units: int, units: int, temperature: float, estimator: Estimator) -> None:
        super().__init__()
        self.projection = Projection(target_units, units, cosine=True)
        self._temperature = temperature
        self._estimator = estimator

    def forward(self, first: Tensor, second: Tensor) -> ObjectiveValue:
        """Score first [B, Y] against second [B, Y]; row b of both comes from one image."""
        own = self.projection(torch.cat([first, second]))
        vectors = torch.cat([ranks.gather(view) for view in own.float().chunk(2)])
        count = len(vectors) // 2
        with torch.autocast(vectors.device.type, enabled=False):
            scores = vectors @ vectors.roll(count, dims=0).T / self._temperature
        rows = torch.arange(2 * count, device=scores.device)
        itself = torch.zeros_like(scores, dtype=torch.bool)
        itself[rows, rows.roll(count)] = True
        scores = scores.masked_fill(itself, -math.inf).unsqueeze(2)
        return ObjectiveValue(self._estimator.loss(scores), self._estimator.bound(scores.detach()))
