"""Cells of the input: a square of pixels for each patch, and for several where the map is large."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from contract.card import ModelCard
from contract.occlusion import GREY, cells_of

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Cells:
    """Cells of one model's input."""

    card: ModelCard

    def __len__(self) -> int:
        """Count them."""
        return len(self.masks)

    @cached_property
    def masks(self) -> NDArray[np.bool_]:
        """Pixels of each cell, bool [cells, H, W]; no two share one, and together they are the input."""
        rule, grid = self.card.preprocessing, self.card.patch_grid
        sides = [
            cells_of(patches)[_nearest(length, patches, grid.first_centre, grid.stride)]
            for length, patches in ((rule.height, grid.rows), (rule.width, grid.columns))
        ]
        owner = sides[0][:, None] * (sides[1].max() + 1) + sides[1]
        masks: NDArray[np.bool_] = owner == np.arange(owner.max() + 1)[:, None, None]
        return masks

    @cached_property
    def _of_patch(self) -> NDArray[np.int64]:
        grid = self.card.patch_grid
        down, across = cells_of(grid.rows), cells_of(grid.columns)
        of_patch: NDArray[np.int64] = down[:, None] * (across.max() + 1) + across
        return of_patch

    def by_patch(self, values: NDArray[np.floating]) -> Floats:
        """Give each patch the value of its cell: [cells] to float32 [rows, columns]."""
        return values.astype(np.float32)[self._of_patch]

    def by_cell(self, maps: Floats) -> NDArray[np.float64]:
        """Give each cell the mean of its patches: [N, rows, columns] to float64 [N, cells]."""
        member = self._of_patch.ravel() == np.arange(len(self))[:, None]
        share = member / member.sum(axis=1, keepdims=True)
        means: NDArray[np.float64] = maps.reshape(len(maps), -1) @ share.T
        return means

    def only(self, pixels: Pixels, chosen: NDArray[np.bool_]) -> Pixels:
        """Turn uint8 [N, H, W, 3], or one image [H, W, 3], grey but for the chosen cells, bool [N, cells]."""
        flat = self.masks.reshape(len(self), -1).astype(np.uint8)
        keep = (chosen.astype(np.uint8) @ flat).reshape(-1, *self.masks.shape[1:], 1) > 0
        return np.where(keep, pixels, np.uint8(GREY))


def _nearest(length: int, patches: int, first: float, stride: float) -> NDArray[np.int64]:
    """Number the patch whose centre is nearest to each pixel along one side, int64 [length]."""
    places = (np.arange(length) + 0.5 - first) / stride
    nearest: NDArray[np.int64] = np.clip(np.floor(places + 0.5), 0, patches - 1).astype(np.int64)
    return nearest
