"""Fully supervised training, the yardstick of the comparison (Hjelm et al. 2019, table 1, first row)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Generator, Tensor, nn

from training.model.encoders import Encoder
from training.model.trainable import Trainable


class Supervised(Trainable):
    """The encoder with a linear classifier on its code, trained by cross-entropy.

    Args:
        encoder: what is trained.
        code_units: Y, of a code.
        labels: int64 [N], the class of each training image.
    """

    def __init__(self, encoder: Encoder, code_units: int, labels: Tensor) -> None:
        super().__init__()
        self.encoder = encoder
        self.classifier = nn.Linear(code_units, int(labels.max()) + 1)
        self.register_buffer("_labels", labels, persistent=False)
        self._labels: Tensor

    def forward(
        self, views: Sequence[Tensor], _generator: Generator, rows: Tensor
    ) -> tuple[Tensor, dict[str, float], Tensor]:
        """Return the mean cross-entropy in nats, and the share of images that are classified correctly."""
        code = self.encoder(torch.cat(list(views))).code
        scores = self.classifier(code)
        labels = self._labels[rows.to(scores.device)].repeat(len(views))
        right = (scores.argmax(dim=1) == labels).float().mean()
        return F.cross_entropy(scores, labels), {"accuracy": right.item()}, code
