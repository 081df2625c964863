"""What the training loop drives: an encoder together with all that trains it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Generator, Tensor, nn

from training.model.encoders import Encoder


class Trainable(nn.Module, ABC):
    """From views of images to a loss.

    Attributes:
        encoder: what is wanted in the end; everything else is there to train it.
    """

    encoder: Encoder

    @abstractmethod
    def forward(
        self, views: Sequence[Tensor], generator: Generator, rows: Tensor
    ) -> tuple[Tensor, dict[str, float], Tensor]:
        """Compute one loss from views, each float32 [B, 3, H, W], of the same B images.

        Args:
            views: of the images.
            generator: source of all randomness.
            rows: int64 [B], the place of each image among the training images.

        Returns:
            The scalar loss; its terms by name; the codes [views x B, Y].
        """

    def minimised(self) -> list[nn.Parameter]:
        """Return parameters that lower the loss."""
        return list(self.parameters())

    def adversary(self) -> list[nn.Parameter]:
        """Return parameters that oppose the encoder; most methods have none."""
        return []

    def adversary_loss(self, _codes: Tensor, _generator: Generator) -> tuple[Tensor, dict[str, float]]:
        """Compute what `adversary()` lowers, on the codes that `forward` returned.

        Raises:
            ValueError: there is no adversary.
        """
        raise ValueError("nothing opposes this encoder")
