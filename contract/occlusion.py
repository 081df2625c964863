"""Contribution of an image's patches to its code, by occlusion of features.

The encoder is E = f o C. One window of patches after the other is replaced in C(x) by the mean of all patches
of the same image, and f is computed again. A patch contributes as much as the code moves when the window
around it is replaced, over the distance of the code from that of a grey image.

The replacement is what the image is mostly made of. So repeated texture contributes little, and what stands
out of it and is used contributes much. Windows are of three by three cells: receptive fields overlap, and one
patch alone is told by its neighbours.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
# Value of every pixel of the image whose code is the origin.
GREY = 128
# Windows along a side: the cost grows with their square.
_MOST_CELLS = 8
# Cells to each side of the middle one of a window.
_REACH = 1


@dataclass(frozen=True)
class Occlusion:
    """Plan of the windows of one model's maps.

    Attributes:
        rows, columns: of the maps.
    """

    rows: int
    columns: int

    def __len__(self) -> int:
        """Count the copies of one image, which is what a map costs in runs of f."""
        return len(self.keep)

    @cached_property
    def keep(self) -> NDArray[np.bool_]:
        """Patches that each copy keeps, bool [copies, rows, columns].

        The first copy keeps all; the others lack the window around one cell each, row by row.
        """
        down, across = cells_of(self.rows), cells_of(self.columns)
        near_down, near_across = (
            np.abs(side - np.arange(side.max() + 1)[:, None]) <= _REACH for side in (down, across)
        )
        windows = near_down[:, None, :, None] & near_across[None, :, None, :]
        everything = np.ones((1, self.rows, self.columns), np.bool_)
        return np.concatenate([everything, ~windows.reshape(-1, self.rows, self.columns)])

    def contribution(self, copies: Floats, origin: Floats) -> Floats:
        """Compute a map, float32 [rows, columns], from the codes of an image's copies.

        Args:
            copies: codes in the order of `keep`, [copies, Y].
            origin: code of a grey image, [Y].

        Returns:
            For each patch the value of its cell: 0 where the code stays, 1 where it moves as far as a grey
            image's code is away. All are 0 where the code is that of a grey image.
        """
        codes = copies.astype(np.float64)
        moved = np.linalg.norm(codes[1:] - codes[0], axis=1)
        whole = float(np.linalg.norm(codes[0] - origin))
        values = (moved / whole if whole else np.zeros_like(moved)).astype(np.float32)
        down, across = cells_of(self.rows), cells_of(self.columns)
        by_patch: Floats = values.reshape(down.max() + 1, -1)[np.ix_(down, across)]
        return by_patch


def covered(features: Floats, keep: NDArray[np.bool_]) -> Floats:
    """Replace patches of C(x), float32 [C, M, M], by their mean, but for `keep`, bool [..., M, M]."""
    mean = features.mean(axis=(1, 2), keepdims=True, dtype=np.float64).astype(np.float32)
    filled: Floats = np.where(keep[..., None, :, :], features, mean)
    return filled


def cells_of(patches: int) -> NDArray[np.int64]:
    """Number the cell of each patch along one side, int64 [patches]; in small maps each is a cell."""
    return np.arange(patches) // -(-patches // _MOST_CELLS)
