"""MI map as a picture: the image, and the map over it with its scale in nats.

Between the centres of patches, colours are interpolated linearly. Beyond the outermost centres, the nearest
patch counts, so that no colour lies outside of the values that the model gave. What the model does not see of
the image has no colour. A dot marks each centre.
"""

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from contract.patches import PatchGrid
from contract.placement import Axis, Placement

# Blue below zero, red above, white between: told apart with every common colour blindness.
_COLOURS = "RdBu_r"
_OVERLAY = 0.6
# Sides of the shown picture in pixels; small originals are enlarged pixel by pixel.
_SMALLEST, _LARGEST = 320, 720
_DPI = 110
# Level of zlib. Its default of 6 takes as long as the drawing, for files that are a fifth smaller.
_DEFLATE = 1
_INCHES = (9.6, 4.4)
# Left, bottom, width and height as shares of the picture.
_ORIGINAL_BOX = (0.045, 0.08, 0.40, 0.84)
OVERLAY_BOX = (0.495, 0.08, 0.40, 0.84)
_BAR_BOX = (0.915, 0.12, 0.018, 0.76)
_MOST_DOTS = 32
# A longer image is drawn out of proportion, or its short side would be a line.
_MOST_ELONGATED = 4
# A map of zeros still needs a scale.
_LEAST_RANGE = 0.01


@dataclass(frozen=True, slots=True)
class Picture:
    """Content of a picture.

    Attributes:
        image: RGB, upright, at full size.
        mi_map: float32 [rows, columns] in nats.
        grid: the patches of the map.
        placement: position of the image in the model's input.
        label: label of the scale.
    """

    image: Image.Image
    mi_map: NDArray[np.float32]
    grid: PatchGrid
    placement: Placement
    label: str


class Sheet:
    """Two panels and a scale, which one thread uses for every picture.

    A figure is thousands of objects in cycles, with megabytes of pixels among them. One for each picture
    would fill the memory until the cycle collector ran. The parts that all pictures share take half of the
    time.
    """

    def __init__(self) -> None:
        self._figure = Figure(figsize=_INCHES)
        FigureCanvasAgg(self._figure)
        original, overlay = self._figure.add_axes(_ORIGINAL_BOX), self._figure.add_axes(OVERLAY_BOX)
        self._panels = original, overlay
        original.set_title("image", fontsize=9)
        self._title = overlay.set_title("", fontsize=9)
        blank = np.zeros((1, 1), np.uint8)
        self._original = original.imshow(blank, interpolation="nearest")
        self._pale = overlay.imshow(blank, cmap="gray", vmin=-255, vmax=255, interpolation="nearest")
        self._heat = overlay.imshow(
            blank, cmap=_COLOURS, vmin=-1, vmax=1, alpha=_OVERLAY, interpolation="nearest"
        )
        self._dots = overlay.scatter([], [], s=2, c="black", linewidths=0, clip_on=True)
        self._bar = self._figure.colorbar(self._heat, cax=self._figure.add_axes(_BAR_BOX))
        for axes in (*self._panels, self._bar.ax):
            axes.tick_params(labelsize=7)

    def draw(self, picture: Picture) -> bytes:
        """Draw the PNG: image on the left, overlay and scale bar on the right.

        Equal arguments give equal bytes, whatever was drawn before."""
        (width, height), placement = picture.image.size, picture.placement
        shown = _fit(picture.image)
        across = _centres(picture.grid.columns, picture.grid, placement.across)
        down = _centres(picture.grid.rows, picture.grid, placement.down)
        xs = _pixels(shown.width, width)
        ys = _pixels(shown.height, height)
        field = _field(picture.mi_map, across, down, xs, ys)
        field[:, _unseen(xs, placement.across)] = np.nan
        field[_unseen(ys, placement.down)] = np.nan
        reach = max(float(np.abs(picture.mi_map).max()), _LEAST_RANGE)

        # Pale, so that the darkness of a colour shows the map and not the image.
        for image, data in ((self._original, shown), (self._pale, shown.convert("L")), (self._heat, field)):
            image.set_data(np.asarray(data))
            # Axes count in pixels of the original, as the boxes of the JSON answer do.
            image.set_extent((0, width, height, 0))
        self._heat.set_clim(-reach, reach)
        self._bar.set_label(picture.label, fontsize=8)
        self._title.set_text(f"mean {picture.mi_map.mean(dtype=np.float64):.2f} nats")
        self._dots.set_visible(max(picture.mi_map.shape) <= _MOST_DOTS)
        self._dots.set_offsets(np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2))
        in_proportion = max(width, height) <= _MOST_ELONGATED * min(width, height)
        for axes in self._panels:
            axes.set_aspect("equal" if in_proportion else "auto")
            axes.set_xlim(0, width)
            axes.set_ylim(height, 0)
        file = BytesIO()
        self._figure.savefig(
            file, format="png", dpi=_DPI, metadata={"Software": None}, pil_kwargs={"compress_level": _DEFLATE}
        )
        return file.getvalue()


def _fit(image: Image.Image) -> Image.Image:
    """Scale the image to a size for a screen, in proportion."""
    side = max(image.size)
    if side < _SMALLEST:
        factor = -(-_SMALLEST // side)
        return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    if side > _LARGEST:
        size = tuple(max(1, round(length * _LARGEST / side)) for length in image.size)
        return image.resize((size[0], size[1]), Image.Resampling.BILINEAR, reducing_gap=2)
    return image


def _centres(count: int, grid: PatchGrid, axis: Axis) -> NDArray[np.float64]:
    """Compute the centres of patches along one axis, in pixels of the original: float64 [count]."""
    return np.array([axis.to_original(grid.first_centre + grid.stride * index) for index in range(count)])


def _pixels(count: int, length: int) -> NDArray[np.float64]:
    """Compute the centres of the shown pixels along one axis, in pixels of the original: float64 [count]."""
    return (np.arange(count) + 0.5) * length / count


def _unseen(places: NDArray[np.float64], axis: Axis) -> NDArray[np.bool_]:
    start, end = axis.seen
    return (places < start) | (places > end)


def _field(
    mi_map: NDArray[np.float32],
    across: NDArray[np.float64],
    down: NDArray[np.float64],
    xs: NDArray[np.float64],
    ys: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Interpolate the map at every shown pixel: float64 [height, width] of the shown picture."""
    rows = np.stack([np.interp(xs, across, row) for row in mi_map])
    return np.stack([np.interp(ys, down, column) for column in rows.T], axis=1)
