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
from contract.placement import Axis, Placement
from service.errors import ServiceError

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

    def pool(self, local: NDArray[np.float32]) -> NDArray[np.float16]:
        """Pool projections of patches [U, M, M] to cells of length one [P, U], row by row.

        Raises:
            ServiceError: 500 `inference_failed` for a number that is not finite.
        """
        if not np.isfinite(local).all():
            raise ServiceError(
                500, "inference_failed", "A local code of this image is not finite. Send another image."
            )
        down, across = (range(0, side, self.step) for side in local.shape[1:])
        sums = np.add.reduceat(np.add.reduceat(local, down, axis=1, dtype=np.float64), across, axis=2)
        cells = sums.reshape(len(local), -1).T
        lengths = np.linalg.norm(cells, axis=1, keepdims=True)
        return np.ascontiguousarray(cells / np.maximum(lengths, np.finfo(np.float32).tiny), np.float16)

    def cell_of(self, row: int, column: int) -> int:
        """Return the number of the cell that a patch is pooled into."""
        return row // self.step * self.columns + column // self.step

    def edges(self, placement: Placement) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Compute where rows and columns of cells meet, in pixels of the original, without overlap.

        Returns:
            [rows + 1] from top to bottom and [columns + 1] from left to right.
        """
        return (
            self._edges(self.patches.rows, self.rows, placement.down),
            self._edges(self.patches.columns, self.columns, placement.across),
        )

    def _edges(self, patches: int, cells: int, axis: Axis) -> NDArray[np.float64]:
        between = self.patches.first_centre - self.patches.stride / 2
        firsts = np.minimum(np.arange(cells + 1) * self.step, patches)
        places = np.clip(between + firsts * self.patches.stride, *axis.filled)
        return np.array([axis.to_original(place) for place in places])
