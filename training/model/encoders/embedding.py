"""From a layer's vector to the embedding by which images are compared."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Tensor, nn

from contract.training_distance import WHITENING
from training.model.encoders.moments import Moments

# Chosen on validation images of CIFAR-10 (docs/decisions/021): more axes or a fuller whitening bring nothing.
UNITS = 512
# An axis needs some images that say how far vectors spread along it.
_IMAGES_AN_AXIS = 4
# What varies less than this share of the largest variance is noise, not to be blown up.
_FLOOR = 1e-4


class EmbeddingHead(nn.Module):
    """Centre, turn to the principal axes, whiten in part, and scale to length one.

    Behind a rectifier all numbers are positive, so that any two vectors are similar, and a few axes carry
    most of the variance and decide all cosines. Centring takes away what all images share. Whitening brings
    the axes' deviations s closer together, to s ** (1 - WHITENING), and cosines then tell images apart by
    more of what the encoder knows. (Whitening before a search by cosine: Jegou and Chum 2012, "Negative
    evidences and co-occurrences in image retrieval".)

    Before `fit` it takes the vector's first numbers and only scales them.

    Args:
        inputs: length D of a vector.
        units: length of an embedding, at most D.

    Attributes:
        units: length of an embedding.
        axes: float16 [D, units], at most 1, times one common scale.
        scale: float32 [], that scale; without it a vector's distance to the mean would not be in the graph.
    """

    def __init__(self, inputs: int, units: int = UNITS) -> None:
        super().__init__()
        self.units = min(units, inputs)
        self.register_buffer("centre", torch.zeros(inputs))
        # In 16 bits: half of some 8 MB, for an error far below that of an encoder in 8 bits.
        self.register_buffer("axes", torch.eye(inputs, self.units, dtype=torch.float16))
        self.register_buffer("scale", torch.ones(()))
        self.centre: Tensor
        self.axes: Tensor
        self.scale: Tensor

    @torch.no_grad()
    def fit(self, batches: Iterable[Tensor]) -> None:
        """Take centre and axes from images like those to be compared; labels play no part.

        With few images only their N / 4 strongest axes are used; the other numbers of an embedding are 0.

        Args:
            batches: of vectors, float32 [B, D], N of them in all.
        """
        moments = Moments()
        for vectors in batches:
            moments.add(vectors)
        self.centre.copy_(moments.mean)
        variances, axes = torch.linalg.eigh(moments.covariance)
        variances, axes = variances.flip(0), axes.flip(1)
        scales = variances.clamp_min(_FLOOR * variances[0].clamp_min(1e-12)) ** (-WHITENING / 2)
        scales[max(1, moments.count // _IMAGES_AN_AXIS) :] = 0
        self.scale.copy_(scales.max())
        self.axes.copy_((axes * (scales / self.scale))[:, : self.units])

    @property
    def projection(self) -> Tensor:
        """Axes with their scale, float32 [D, units]."""
        return self.axes.to(torch.float32) * self.scale

    def forward(self, vectors: Tensor) -> Tensor:
        """Map float32 [B, D] to [B, units]."""
        return F.normalize((vectors - self.centre) @ self.projection, dim=1)
