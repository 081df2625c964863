"""Regions of images: what a search is by, how alike an item is, and where in it the region lies.

An item's score is the mean, over the local codes of the region, of the cosine to the most alike of its
cells (MaxSim: Khattab and Zaharia 2020, "ColBERT", section 3.3). The place is the shift of the whole region
under which its codes are most like the cells that they come to lie on. Places are in patches: patch (r, c)
of the model's grid covers r to r + 1 and c to c + 1, in every image.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from contract.patches import PatchGrid
from contract.placement import Axis, Placement
from service.index.cells import CellGrid

MOST_CODES = 32
"""Most local codes that one search is by; those of a larger region are spread over it."""

# The shorter one of two shifts that fit alike is taken.
_SHIFT_COST = 1e-6


@dataclass(frozen=True)
class Rectangle:
    """Rectangle in patches, or in pixels of an original."""

    left: float
    top: float
    right: float
    bottom: float

    def within(self, right: float, bottom: float) -> "Rectangle":
        """Cut off what lies outside of (0, 0, right, bottom); what lies wholly outside has a size of 0."""
        left, top = (min(max(place, 0.0), most) for place, most in ((self.left, right), (self.top, bottom)))
        return Rectangle(left, top, max(left, min(self.right, right)), max(top, min(self.bottom, bottom)))

    @property
    def is_empty(self) -> bool:
        """Whether it has no area."""
        return self.right <= self.left or self.bottom <= self.top


@dataclass(frozen=True)
class LocalCodes:
    """Local codes of one image.

    Attributes:
        codes: float32 [P, U], of length one.
        centres: float64 [P, 2], row and column of their middles in patches.
    """

    codes: NDArray[np.float32]
    centres: NDArray[np.float64]

    @classmethod
    def of_patches(cls, local: NDArray[np.float32]) -> "LocalCodes":
        """Return those of an image that was encoded, [U, M, M]: one for each patch."""
        units, rows, columns = local.shape
        codes = local.reshape(units, -1).T.astype(np.float64)
        codes /= np.maximum(np.linalg.norm(codes, axis=1, keepdims=True), np.finfo(np.float32).tiny)
        return cls(codes.astype(np.float32), _centres(np.arange(rows + 1.0), np.arange(columns + 1.0)))

    @classmethod
    def of_cells(cls, cells: NDArray[np.float32], grid: CellGrid) -> "LocalCodes":
        """Return those of an item, from its cells [P, U]."""
        return cls(cells, _centres(*grid.edges_in_patches))

    def inside(self, box: Rectangle) -> "LocalCodes":
        """Return at most `MOST_CODES` whose middles lie in a box; else the one nearest to its middle."""
        rows, columns = self.centres.T
        inside = (box.top <= rows) & (rows < box.bottom) & (box.left <= columns) & (columns < box.right)
        places = np.flatnonzero(inside)
        if not len(places):
            middle = ((box.top + box.bottom) / 2, (box.left + box.right) / 2)
            places = np.array([np.square(self.centres - middle).sum(axis=1).argmin()])
        return self.at(places)

    def at(self, places: NDArray[np.int64]) -> "LocalCodes":
        """Return those of these places, at most `MOST_CODES`, spread evenly."""
        if len(places) > MOST_CODES:
            places = places[np.linspace(0, len(places) - 1, MOST_CODES).round().astype(int)]
        return replace(self, codes=self.codes[places], centres=self.centres[places])


@dataclass(frozen=True)
class Region:
    """Region that is searched for.

    Attributes:
        codes: its local codes.
        box: where it lies in its own image, in patches.
    """

    codes: LocalCodes
    box: Rectangle


def scores(region: Region, items: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    """Score items, whose cells are [P, U], by a region: [N] in [-1, 1]."""
    if not items:
        return np.empty(0)
    alike = np.stack(items) @ region.codes.codes.T
    means: NDArray[np.float64] = alike.max(axis=1).mean(axis=1, dtype=np.float64)
    return means.clip(-1, 1)


def places(region: Region, items: Sequence[NDArray[np.float32]], grid: CellGrid) -> list[Rectangle]:
    """Find where a region lies in items, in patches."""
    shifts = _Shifts(region, grid)
    return [shifts.best(region.codes.codes @ cells.T) for cells in items]


class _Shifts:
    """Shifts of a region by whole patches, under which at least half of its codes stay in the image."""

    def __init__(self, region: Region, grid: CellGrid) -> None:
        self._box = region.box
        self._patches = grid.patches
        rows, columns = region.codes.centres.T
        self._down, cell_rows, rows_stay = _moved(rows, grid.patches.rows, grid.step)
        self._across, cell_columns, columns_stay = _moved(columns, grid.patches.columns, grid.step)
        self._cells = cell_rows[:, :, None] * grid.columns + cell_columns[:, None, :]
        self._stay = rows_stay[:, :, None] & columns_stay[:, None, :]
        length = np.hypot(self._down[:, None], self._across[None, :])
        self._cost = np.where(self._stay.mean(axis=0) < 0.5, np.inf, _SHIFT_COST * length)

    def best(self, cosines: NDArray[np.float32]) -> Rectangle:
        """Return the box under the best shift, from the cosines [Q, P] of codes and cells."""
        numbers = np.arange(len(cosines))[:, None, None]
        fits = np.where(self._stay, cosines[numbers, self._cells], 0).mean(axis=0) - self._cost
        row, column = np.unravel_index(fits.argmax(), fits.shape)
        down, across = float(self._down[row]), float(self._across[column])
        box = self._box
        moved = Rectangle(box.left + across, box.top + down, box.right + across, box.bottom + down)
        return moved.within(self._patches.columns, self._patches.rows)


def _moved(
    centres: NDArray[np.float64], patches: int, step: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Move centres [Q] by every shift; return shifts [S], cells [Q, S] and whether these exist [Q, S]."""
    shifts = np.arange(1 - patches, patches)
    moved = centres[:, None] + shifts[None, :]
    stay = (moved >= 0) & (moved < patches)
    return shifts, np.where(stay, moved // step, 0).astype(np.int64), stay


def to_patches(box: Rectangle, grid: PatchGrid, placement: Placement) -> Rectangle:
    """Convert a box in pixels of an original to patches, without what the model does not see of it."""
    left, right = (_patch(grid, placement.across, place) for place in (box.left, box.right))
    top, bottom = (_patch(grid, placement.down, place) for place in (box.top, box.bottom))
    return Rectangle(left, top, right, bottom).within(grid.columns, grid.rows)


def to_pixels(box: Rectangle, grid: PatchGrid, placement: Placement) -> Rectangle:
    """Convert a box in patches to pixels of an original."""
    left, right = (_pixel(grid, placement.across, place) for place in (box.left, box.right))
    top, bottom = (_pixel(grid, placement.down, place) for place in (box.top, box.bottom))
    return Rectangle(left, top, right, bottom)


def _patch(grid: PatchGrid, axis: Axis, place: float) -> float:
    return (axis.to_input(place) - grid.first_centre) / grid.stride + 0.5


def _pixel(grid: PatchGrid, axis: Axis, place: float) -> float:
    first, last = axis.filled
    return axis.to_original(min(max(grid.first_centre + (place - 0.5) * grid.stride, first), last))


def _centres(down: NDArray[np.float64], across: NDArray[np.float64]) -> NDArray[np.float64]:
    """Middles of the rectangles between edges, row by row: [P, 2]."""
    rows, columns = (down[:-1] + down[1:]) / 2, (across[:-1] + across[1:]) / 2
    return np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)
