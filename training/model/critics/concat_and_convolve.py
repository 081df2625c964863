"""Concat-and-convolve (Hjelm et al. 2019, figure 7): a network sees each pair as a whole, at a cost."""

import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Tensor, nn

from training.distributed import ranks
from training.model.critics.critic import Critic


class ConcatAndConvolve(Critic):
    """Tiles the global vector over the map and scores each position by three 1 x 1 convolutions.

    Unlike a dot product it can express any function of the pair. Every pair passes the network by itself,
    so the activations of a training step take about 8 A B P `units` bytes: 270 MB for 64 images of 64
    patches at 128 units. `positions` in the recipe lowers P.

    Args:
        channels: C, of a patch.
        target_units: Y, of a global vector.
        units: width of the two hidden layers; 512 in the paper.
        temperature: when given, scores are divided by it.
    """

    def __init__(self, channels: int, target_units: int, units: int, temperature: float | None) -> None:
        super().__init__()
        self.concatenated = nn.Linear(channels + target_units, units)
        self.hidden = nn.Linear(units, units)
        self.score = nn.Linear(units, 1)
        self._channels = channels
        self._temperature = temperature or 1.0

    def forward(self, patches: Tensor, target: Tensor) -> Tensor:
        """Map [A, C, P] and [B, Y] to [A, ranks x B, P]."""
        # A linear map of a concatenation is the sum of one map of each part. So each part is mapped once
        # and only the sum is made for every pair; the concatenation itself never exists.
        weight = self.concatenated.weight
        local = F.linear(patches.transpose(1, 2), weight[:, : self._channels], self.concatenated.bias)
        global_ = ranks.gather(F.linear(target, weight[:, self._channels :]))
        hidden = F.relu(local.unsqueeze(1) + global_.unsqueeze(1), inplace=True)
        hidden = F.relu(self.hidden(hidden), inplace=True)
        scores: Tensor = self.score(hidden)
        return scores.squeeze(3) / self._temperature
