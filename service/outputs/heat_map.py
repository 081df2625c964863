"""An MI map as a picture: the image, and the map over it with its scale in nats.

What a colour means between the centres of patches is interpolated linearly, and beyond the outermost
centres it is the nearest patch's; so no colour lies outside of the values that the model gave. A dot
marks each centre.
"""

from dataclasses import dataclass
from io import BytesIO
from typing import Literal

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from contract.patches import PatchGrid

# Blue below zero, red above, white between: told apart with every common colour blindness.
_COLOURS = "RdBu_r"
_OVERLAY = 0.6
# Sides of the shown picture in pixels; small originals are enlarged pixel by pixel.
_SMALLEST, _LARGEST = 320, 720
_DPI = 110
_INCHES = (9.6, 4.4)
# Left, bottom, width and height as shares of the picture.
_ORIGINAL_BOX = (0.045, 0.08, 0.40, 0.84)
OVERLAY_BOX = (0.495, 0.08, 0.40, 0.84)
_BAR_BOX = (0.915, 0.12, 0.018, 0.76)
_MOST_DOTS = 32
# Longer than this an image is drawn out of proportion, or its short side would be a line.
_MOST_ELONGATED = 4
# A map of zeros still needs a scale.
_LEAST_RANGE = 0.01


@dataclass(frozen=True, slots=True)
class Picture:
    """What is drawn.

    Attributes:
        image: RGB, upright, at full size.
        mi_map: float32 [rows, columns] in nats.
        grid: where its patches lie.
        input_size: (width, height) of the model's input.
        label: what the values are, for the scale.
    """

    image: Image.Image
    mi_map: NDArray[np.float32]
    grid: PatchGrid
    input_size: tuple[int, int]
    label: str


def draw(picture: Picture) -> bytes:
    """The PNG: image on the left, overlay and scale bar on the right; equal arguments give equal bytes."""
    width, height = picture.image.size
    shown = _fit(picture.image)
    across = _centres(picture.grid.columns, picture.grid, width / picture.input_size[0])
    down = _centres(picture.grid.rows, picture.grid, height / picture.input_size[1])
    field = _field(picture.mi_map, across, down, (width, height), shown.size)
    reach = max(float(np.abs(picture.mi_map).max()), _LEAST_RANGE)
    # Axes count in pixels of the original, as the boxes of the JSON answer do.
    extent = (0, width, height, 0)
    aspect: Literal["equal", "auto"] = (
        "equal" if max(width, height) <= _MOST_ELONGATED * min(width, height) else "auto"
    )

    figure = Figure(figsize=_INCHES)
    FigureCanvasAgg(figure)
    original, overlay = figure.add_axes(_ORIGINAL_BOX), figure.add_axes(OVERLAY_BOX)
    original.imshow(shown, extent=extent, interpolation="nearest")
    original.set_title("image", fontsize=9)
    # Pale, so that how dark a colour is tells of the map and not of the image.
    overlay.imshow(
        shown.convert("L"), extent=extent, cmap="gray", vmin=-255, vmax=255, interpolation="nearest"
    )
    heat = overlay.imshow(
        field, extent=extent, cmap=_COLOURS, vmin=-reach, vmax=reach, alpha=_OVERLAY, interpolation="nearest"
    )
    overlay.set_title(f"mean {picture.mi_map.mean(dtype=np.float64):.2f} nats", fontsize=9)
    if max(picture.mi_map.shape) <= _MOST_DOTS:
        overlay.scatter(*np.meshgrid(across, down), s=2, c="black", linewidths=0, clip_on=True)
    for axes in (original, overlay):
        axes.set_aspect(aspect)
        axes.set_xlim(0, width)
        axes.set_ylim(height, 0)
        axes.tick_params(labelsize=7)
    bar = figure.colorbar(heat, cax=figure.add_axes(_BAR_BOX))
    bar.set_label(picture.label, fontsize=8)
    bar.ax.tick_params(labelsize=7)
    file = BytesIO()
    figure.savefig(file, format="png", dpi=_DPI, metadata={"Software": None})
    return file.getvalue()


def _fit(image: Image.Image) -> Image.Image:
    """The image at a size fit for a screen, its shape kept."""
    side = max(image.size)
    if side < _SMALLEST:
        factor = -(-_SMALLEST // side)
        return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    if side > _LARGEST:
        size = tuple(max(1, round(length * _LARGEST / side)) for length in image.size)
        return image.resize((size[0], size[1]), Image.Resampling.BILINEAR, reducing_gap=2)
    return image


def _centres(count: int, grid: PatchGrid, scale: float) -> NDArray[np.float64]:
    """Centres of patches along one axis, in pixels of the original: float64 [count]."""
    return (grid.first_centre + grid.stride * np.arange(count, dtype=np.float64)) * scale


def _field(
    mi_map: NDArray[np.float32],
    across: NDArray[np.float64],
    down: NDArray[np.float64],
    original: tuple[int, int],
    shown: tuple[int, int],
) -> NDArray[np.float64]:
    """The map at the centre of every shown pixel: float64 [height, width] of the shown picture."""
    xs = (np.arange(shown[0]) + 0.5) * original[0] / shown[0]
    ys = (np.arange(shown[1]) + 0.5) * original[1] / shown[1]
    rows = np.stack([np.interp(xs, across, row) for row in mi_map])
    return np.stack([np.interp(ys, down, column) for column in rows.T], axis=1)
