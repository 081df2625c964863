"""The narrow network by which a critic brings patches and global vectors into one space."""

import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Tensor, nn


class Projection(nn.Module):
    """Two layers beside a linear shortcut, as in the authors' `MIFCNet` and `MI1x1ConvNet`.

    A 1 x 1 convolution is this same map applied at each position, so one class serves both.

    Args:
        inputs: width of a vector.
        units: width of its projection.
        cosine: scale projections to length one.
    """

    def __init__(self, inputs: int, units: int, *, cosine: bool) -> None:
        super().__init__()
        hidden = 2 * units
        self.nonlinear = nn.Sequential(
            nn.Linear(inputs, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, units)
        )
        self.shortcut = nn.Linear(inputs, units, bias=False)
        self._cosine = cosine

    def forward(self, vectors: Tensor) -> Tensor:
        """Map [N, inputs] to [N, units]."""
        projected: Tensor = self.nonlinear(vectors) + self.shortcut(vectors)
        return F.normalize(projected, dim=1) if self._cosine else projected
