"""Map as a picture: the image, and the map over it with its scale. A dot marks the centre of each patch."""

from dataclasses import dataclass
from io import BytesIO
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from contract.patches import PatchGrid
from contract.placement import Placement
from service.outputs.color_scale import colors
from service.outputs.map_overlay import DEFLATE, LEAST_REACH, OPACITY, MapPlace, load_font, overlaid
from service.outputs.ticks import label, ticks

SIZE = (1056, 484)
# Left, top, right and bottom as shares of the picture.
_ORIGINAL_BOX = (0.045, 0.08, 0.445, 0.92)
OVERLAY_BOX = (0.495, 0.08, 0.895, 0.92)
_BAR_BOX = (0.915, 0.12, 0.933, 0.88)
_MOST_DOTS = 32
# A longer image is drawn out of proportion, or its short side would be a line.
_MOST_ELONGATED = 4
# Pixels: height of letters; room for a tick with its label, along x, along y and along the scale bar; gaps.
_TITLE, _NUMBER, _CAPTION = 14, 11, 12
_ACROSS, _DOWN, _ALONG_BAR = 45, 40, 60
_TICK, _GAP = 4, 7
_BLACK = (0, 0, 0)


@dataclass(frozen=True, slots=True)
class Picture:
    """Content of a picture.

    Attributes:
        image: RGB, upright, at full size.
        mi_map: float32 [rows, columns].
        grid: the patches of the map.
        placement: position of the image in the model's input.
        label: label of the scale.
        unit: of the values.
        ceiling: the largest value that is told apart; larger ones have its colour.
    """

    image: Image.Image
    mi_map: NDArray[np.float32]
    grid: PatchGrid
    placement: Placement
    label: str
    unit: str = "nats"
    ceiling: float | None = None

    @property
    def shown(self) -> NDArray[np.float32]:
        """The map, with its values capped."""
        return self.mi_map if self.ceiling is None else np.minimum(self.mi_map, np.float32(self.ceiling))

    @property
    def place(self) -> MapPlace:
        """Where the patches lie in the image."""
        return MapPlace(self.image.size, self.grid, self.placement)

    @property
    def title(self) -> str:
        """What stands above the map."""
        title = f"mean {self.mi_map.mean(dtype=np.float64):.2f} {self.unit}"
        above = 0 if self.ceiling is None else int((self.mi_map > self.ceiling).sum())
        return f"{title}, {above} above {self.ceiling:.1f}" if above else title

    @property
    def scale(self) -> tuple[float, float]:
        """Ends of the scale: as far on both sides of zero, or on the one side that has values."""
        reach = max(float(np.abs(self.shown).max()), LEAST_REACH)
        low, high = float(self.shown.min()), float(self.shown.max())
        return (-reach if low < 0 else 0.0), (reach if high > 0 or low >= 0 else 0.0)


class _Panel(NamedTuple):
    """Pixels of the picture; right and bottom are the first ones outside."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> tuple[int, int]:
        return self.right - self.left, self.bottom - self.top


def draw_heat_map(picture: Picture) -> bytes:
    """Draw the PNG: image on the left, overlay and scale bar on the right."""
    sheet = Image.new("RGB", SIZE, "white")
    pen = ImageDraw.Draw(sheet)
    scale = picture.scale
    original, overlay = (_panel(box, picture.image.size) for box in (_ORIGINAL_BOX, OVERLAY_BOX))
    shown = _fit(picture.image, original.size)
    sheet.paste(shown, original[:2])
    sheet.paste(overlaid(shown, picture.shown, picture.place, max(map(abs, scale))), overlay[:2])
    _draw_dots(pen, overlay, picture)
    for box, title in ((original, "image"), (overlay, picture.title)):
        _draw_axes(pen, box, picture.image.size)
        middle = (box.left + box.right) / 2
        pen.text((middle, box.top - _GAP), title, _BLACK, load_font(_TITLE), anchor="ms")
    _draw_bar(sheet, pen, scale, picture.label)
    file = BytesIO()
    sheet.save(file, "PNG", compress_level=DEFLATE)
    return file.getvalue()


def _panel(box: tuple[float, float, float, float], original: tuple[int, int]) -> _Panel:
    """Place an image of that size in the middle of a box."""
    (width, height), (whole_width, whole_height) = original, SIZE
    left, right = box[0] * whole_width, box[2] * whole_width
    top, bottom = box[1] * whole_height, box[3] * whole_height
    across, down = right - left, bottom - top
    if max(width, height) <= _MOST_ELONGATED * min(width, height):
        scale = min(across / width, down / height)
        across, down = scale * width, scale * height
    start, above = (left + right - across) / 2, (top + bottom - down) / 2
    return _Panel(round(start), round(above), round(start + across), round(above + down))


def _fit(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Scale an image to its panel; a small one is enlarged pixel by pixel."""
    if image.width <= size[0] and image.height <= size[1]:
        return image.resize(size, Image.Resampling.NEAREST)
    return image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2)


def _draw_dots(pen: ImageDraw.ImageDraw, box: _Panel, picture: Picture) -> None:
    if max(picture.mi_map.shape) > _MOST_DOTS:
        return
    (width, height), (shown_width, shown_height) = picture.image.size, box.size
    across, down = picture.place.centres()
    for x in box.left + across * shown_width / width:
        for y in box.top + down * shown_height / height:
            if box.left <= x < box.right and box.top <= y < box.bottom:
                pen.rectangle((round(x) - 1, round(y) - 1, round(x), round(y)), _BLACK)


def _draw_axes(pen: ImageDraw.ImageDraw, box: _Panel, original: tuple[int, int]) -> None:
    """Frame a panel; its axes count in pixels of the original, as the boxes of the JSON answer do."""
    (width, height), (shown_width, shown_height) = original, box.size
    font = load_font(_NUMBER)
    pen.rectangle((box.left - 1, box.top - 1, box.right, box.bottom), outline=_BLACK)
    for value in ticks(0, width, shown_width // _ACROSS, least_step=1):
        x = box.left + round(value * shown_width / width)
        pen.line((x, box.bottom, x, box.bottom + _TICK), _BLACK)
        pen.text((x, box.bottom + _GAP), label(value), _BLACK, font, anchor="mt")
    for value in ticks(0, height, shown_height // _DOWN, least_step=1):
        y = box.top + round(value * shown_height / height)
        pen.line((box.left - _TICK, y, box.left, y), _BLACK)
        pen.text((box.left - _GAP, y), label(value), _BLACK, font, anchor="rm")


def _draw_bar(sheet: Image.Image, pen: ImageDraw.ImageDraw, scale: tuple[float, float], caption: str) -> None:
    """Draw the scale bar: colours as they look over white, values, and the caption."""
    left, top, right, bottom = (round(share * side) for share, side in zip(_BAR_BOX, SIZE * 2, strict=True))
    height = bottom - top
    low, high = scale
    shares = (high - (high - low) * (np.arange(height) + 0.5) / height) / max(-low, high)
    column = 255 + OPACITY * (colors(shares) - 255)
    bar = np.repeat(column.round().astype(np.uint8)[:, None], right - left, axis=1)
    sheet.paste(Image.fromarray(bar), (left, top))
    pen.rectangle((left - 1, top - 1, right, bottom), outline=_BLACK)
    font, numbers = load_font(_NUMBER), right + _GAP
    values = ticks(low, high, height // _ALONG_BAR)
    for value in values:
        y = top + round((high - value) / (high - low) * height)
        pen.line((right, y, right + _TICK, y), _BLACK)
        pen.text((numbers, y), label(value), _BLACK, font, anchor="lm")
    widest = max(font.getlength(label(value)) for value in values)
    text = Image.new("L", (height, 2 * _CAPTION))
    ImageDraw.Draw(text).text((height / 2, _CAPTION), caption, 255, load_font(_CAPTION), anchor="mm")
    upright = text.transpose(Image.Transpose.ROTATE_90)
    place = (round(numbers + widest), top)
    sheet.paste(_BLACK, (*place, place[0] + upright.width, place[1] + upright.height), upright)
