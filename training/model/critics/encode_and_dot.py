"""Encode-and-dot-product (Hjelm et al. 2019, figure 8): cheap, since all pairs are one matrix product."""

import torch
from torch import Tensor

from training.distributed import ranks
from training.model.critics.critic import Critic
from training.model.critics.projection import Projection


class EncodeAndDot(Critic):
    """Projects patches and global vectors into one space and takes their inner products.

    Args:
        channels: C, of a patch.
        target_units: Y, of a global vector.
        units: width of the common space.
        temperature: when given, scores are cosines divided by it (Chen et al. 2020); otherwise the raw
            inner products of the paper.
    """

    def __init__(self, channels: int, target_units: int, units: int, temperature: float | None) -> None:
        super().__init__()
        cosine = temperature is not None
        self.local = Projection(channels, units, cosine=cosine)
        self.global_ = Projection(target_units, units, cosine=cosine)
        self._temperature = temperature or 1.0

    def forward(self, patches: Tensor, target: Tensor) -> Tensor:
        """Map [A, C, P] and [B, Y] to [A, ranks x B, P]."""
        count, channels, positions = patches.shape
        local = self.local(patches.transpose(1, 2).reshape(-1, channels)).float()
        global_ = ranks.gather(self.global_(target).float())
        # Scores stay float32 under autocast: bfloat16 rounds one of 10 nats by hundredths.
        with torch.autocast(local.device.type, enabled=False):
            scores: Tensor = local @ global_.T / self._temperature
        return scores.view(count, positions, -1).transpose(1, 2)
