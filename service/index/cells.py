"""Cells of an image: its local codes, pooled to a small grid, by which the index finds parts of images.

A cell is the mean of the critic's projections of the patches in a square, at length one. Four patches of
14 x 14 in one cell are found as well as each by itself, and take a quarter of the rows (docs/neighbours.md).
Cells of a space are comparable only if all were pooled alike: another rule needs a step that empties them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contract.card import ModelCard
from contract.patches import PatchGrid

MOST_SIDE = 8
"""Most rows, and most columns, of cells."""


@dataclass(frozen=True)
class CellGrid:
    """Grid of the cells of one model's images, row by row.

    Attributes:
        patches: grid of the patches that are pooled.
    """

    patches: PatchGrid

    @classmethod
    def of(cls, card: ModelCard) -> "CellGrid":
        """Return the grid of a model's images."""
        return cls(card.patch_grid)

    @property
    def step(self) -> int:
        """Rows, and columns, of patches in a cell; fewer in the last one where they do not divide."""
        return -(-max(self.patches.rows, self.patches.columns) // MOST_SIDE)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return -(-self.patches.rows // self.step)

    @property
    def columns(self) -> int:
        """Number of columns."""
        return -(-self.patches.columns // self.step)

    @property
    def count(self) -> int:
        """Number of cells of an image."""
        return self.rows * self.columns

    def pool(self, local: NDArray[np.float32]) -> NDArray[np.float16]:
        """Pool finite projections of patches [U, M, M] to cells of length one [P, U], row by row."""
        down, across = (range(0, side, self.step) for side in local.shape[1:])
        sums = np.add.reduceat(np.add.reduceat(local, down, axis=1, dtype=np.float64), across, axis=2)
        cells = sums.reshape(len(local), -1).T
        lengths = np.linalg.norm(cells, axis=1, keepdims=True)
        return np.ascontiguousarray(cells / np.maximum(lengths, np.finfo(np.float32).tiny), np.float16)

    @property
    def edges_in_patches(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where rows [rows + 1] and columns [columns + 1] of cells meet, in patches."""
        return (
            np.minimum(np.arange(self.rows + 1.0) * self.step, self.patches.rows),
            np.minimum(np.arange(self.columns + 1.0) * self.step, self.patches.columns),
        )
