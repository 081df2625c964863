"""What a critic offers to objectives."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Critic(nn.Module, ABC):
    """T: the score of every patch of every image with every image's global vector."""

    @abstractmethod
    def forward(self, patches: Tensor, target: Tensor) -> Tensor:
        """Score this rank's patches against the global vectors of all ranks.

        Args:
            patches: float32 [A, C, P], P patches of each of A images.
            target: float32 [B, Y], one global vector of each of B images.

        Returns:
            float32 [A, ranks x B, P]; in one process [A, B, P], all pairs of the batch.
        """
