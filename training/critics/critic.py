"""What a critic offers to objectives."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Critic(nn.Module, ABC):
    """T: the score of every patch of every image with every image's global vector."""

    @abstractmethod
    def forward(self, patches: Tensor, target: Tensor) -> Tensor:
        """Score all pairs of a batch.

        Args:
            patches: float32 [A, C, P], P patches of each of A images.
            target: float32 [B, Y], one global vector of each of B images.

        Returns:
            float32 [A, B, P].
        """
