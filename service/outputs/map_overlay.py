"""Overlay of a map on an image, as every picture of maps shows it.

Between the centres of patches, colours are interpolated linearly. Beyond the outermost centres, the nearest
patch counts, so that no colour lies outside of the values that the model gave. What the model does not see of
the image has no colour.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFont

from contract.patches import PatchGrid
from contract.placement import Axis, Placement
from service.outputs.color_scale import colors

OPACITY = 0.6
DEFLATE = 1
"""Level of zlib. Its default of 6 takes as long as the drawing, for files that are a fifth smaller."""
LEAST_REACH = 0.01
"""Of the scale: a map of zeros needs one too."""


@dataclass(frozen=True, slots=True)
class MapPlace:
    """Where the patches of a map lie in an image.

    Attributes:
        original: width and height of the image in pixels.
        grid: the patches of the map.
        placement: position of the image in the model's input.
    """

    original: tuple[int, int]
    grid: PatchGrid
    placement: Placement

    def centres(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Compute the centres of patches in pixels of the original, across [columns] and down [rows]."""

        def along(axis: Axis, count: int) -> NDArray[np.float64]:
            places = [self.grid.first_centre + self.grid.stride * index for index in range(count)]
            return np.array([axis.to_original(place) for place in places])

        return along(self.placement.across, self.grid.columns), along(self.placement.down, self.grid.rows)


def overlaid(shown: Image.Image, values: NDArray[np.float32], place: MapPlace, reach: float) -> Image.Image:
    """Lay a map over an image, which is made pale: dark colours are the map's alone.

    Args:
        shown: the image, RGB, at the size at which it is drawn.
        values: float32 [rows, columns].
        place: of the map in the original.
        reach: the value that has the last colour of the scale.
    """
    xs = _pixels(shown.width, place.original[0])
    ys = _pixels(shown.height, place.original[1])
    across, down = place.centres()
    rows = np.stack([np.interp(xs, across, row) for row in values])
    field = np.stack([np.interp(ys, down, column) for column in rows.T], axis=1)
    pale = 127.5 + np.asarray(shown.convert("L"), np.float32)[..., None] / 2
    weight = _seen(ys, place.placement.down)[:, None] & _seen(xs, place.placement.across)
    blended = pale + OPACITY * weight[..., None] * (colors(field / reach) - pale)
    return Image.fromarray(blended.round().astype(np.uint8))


@cache
def load_font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Load Pillow's own font, so that pictures are the same on machines with other fonts."""
    return ImageFont.load_default(size)


def _pixels(count: int, length: int) -> NDArray[np.float64]:
    """Compute the centres of the shown pixels along one axis, in pixels of the original: float64 [count]."""
    return (np.arange(count) + 0.5) * length / count


def _seen(places: NDArray[np.float64], axis: Axis) -> NDArray[np.bool_]:
    start, end = axis.seen
    return (places >= start) & (places <= end)
