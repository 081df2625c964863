"""Mean and covariance of more vectors than need to be held at once."""

import torch
from torch import Tensor


class Moments:
    """Sums over batches of vectors of length D.

    Sums are of differences from the first batch's mean, so that vectors far from zero lose no digits.

    Attributes:
        count: vectors seen.
    """

    def __init__(self) -> None:
        self.count = 0
        self._origin = torch.zeros(0)
        self._sum = torch.zeros(0)
        self._products = torch.zeros(0)

    def add(self, vectors: Tensor) -> None:
        """Count in float32 [N, D]."""
        if self.count == 0:
            self._origin = vectors.mean(dim=0)
            self._sum = torch.zeros_like(self._origin, dtype=torch.float64)
            self._products = torch.zeros(2 * self._origin.shape, dtype=torch.float64)
        shifted = vectors - self._origin
        self._sum += shifted.sum(dim=0)
        self._products += shifted.T @ shifted
        self.count += len(vectors)

    @property
    def mean(self) -> Tensor:
        """float32 [D]."""
        return self._origin + (self._sum / self.count).float()

    @property
    def covariance(self) -> Tensor:
        """float32 [D, D], divided by the number of vectors."""
        shift = self._sum / self.count
        return (self._products / self.count - torch.outer(shift, shift)).float()
