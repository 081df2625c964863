"""Explained neighbours as one picture: a row for each hit, with the query and the hit side by side.

Each image is shown plain, and under the map of its patches against the code of the other one, less its mean.
Both maps of a row have one scale: red patches speak more for the other image than the rest does, blue less.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from contract.card import ModelCard
from contract.errors import ImageError
from contract.image_limits import ImageLimits
from contract.images import open_rgb
from contract.placement import place
from service.outputs.map_overlay import DEFLATE, LEAST_REACH, MapPlace, load_font, overlaid
from service.outputs.neighbours import Explanation, HitSide, contrast

MOST_ROWS = 10
# Pixels.
SIDE, _GAP, _TITLE = 200, 12, 26
WIDTH = 4 * SIDE + 5 * _GAP
ROW_HEIGHT = _TITLE + SIDE + _GAP
_LETTERS = 13
_MOST_ID = 60
_BLACK, _GREY = (0, 0, 0), (235, 235, 235)


@dataclass(frozen=True, slots=True)
class PictureRow:
    """One hit.

    Attributes:
        id: of the item.
        score: its cosine.
        explanation: None for a hit that was stored without an image.
    """

    id: str
    score: float
    explanation: Explanation | None


def draw_neighbours(query: bytes, rows: Sequence[PictureRow], card: ModelCard, limits: ImageLimits) -> bytes:
    """Draw the PNG.

    Args:
        query: the encoded image that was searched by.
        rows: the hits, best first, at most `MOST_ROWS`.
        card: of the model that made the maps.
        limits: what an image may cost.

    Raises:
        ImageError: the query cannot be decoded.
    """
    shown = _open(query, card, limits)
    sheet = Image.new("RGB", (WIDTH, max(1, len(rows)) * ROW_HEIGHT + _GAP), "white")
    pen = ImageDraw.Draw(sheet)
    if not rows:
        pen.text((_GAP, _GAP), "The index holds no neighbour.", _BLACK, load_font(_LETTERS))
    for number, row in enumerate(rows):
        _draw_row(sheet, pen, number * ROW_HEIGHT, shown, row, card, limits)
    file = BytesIO()
    sheet.save(file, "PNG", compress_level=DEFLATE)
    return file.getvalue()


def _draw_row(
    sheet: Image.Image,
    pen: ImageDraw.ImageDraw,
    top: int,
    query: Image.Image,
    row: PictureRow,
    card: ModelCard,
    limits: ImageLimits,
) -> None:
    explanation = row.explanation
    side = explanation.hit if explanation is not None else None
    hit = None if side is None else _opened_hit(side, card, limits)
    maps = [
        None if explanation is None else contrast(explanation.query),
        None if side is None else contrast(side.mi_map),
    ]
    reach = max([LEAST_REACH, *(float(np.abs(one).max()) for one in maps if one is not None)])
    name = row.id if len(row.id) <= _MOST_ID else row.id[:_MOST_ID] + "…"
    title = f"{name}   score {row.score:.3f}   scale ±{reach:.2f} nats around the mean"
    pen.text((_GAP, top + _TITLE - 6), _printable(title), _BLACK, load_font(_LETTERS), anchor="ls")
    panels = ((query, None), (query, maps[0]), (hit, None), (hit, maps[1]))
    for column, (image, centred) in enumerate(panels):
        left = _GAP + column * (SIDE + _GAP)
        _draw_panel(sheet, pen, (left, top + _TITLE), image, centred, reach, card)


def _draw_panel(
    sheet: Image.Image,
    pen: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    image: Image.Image | None,
    centred: NDArray[np.float32] | None,
    reach: float,
    card: ModelCard,
) -> None:
    if image is None:
        pen.rectangle((*corner, corner[0] + SIDE - 1, corner[1] + SIDE - 1), _GREY)
        middle = (corner[0] + SIDE / 2, corner[1] + SIDE / 2)
        pen.text(middle, "no picture is kept", _BLACK, load_font(_LETTERS), anchor="mm")
        return
    scale = SIDE / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    method = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BILINEAR
    panel = image.resize((width, height), method)
    if centred is not None:
        where = MapPlace(image.size, card.patch_grid, place(card.preprocessing, image.size))
        panel = overlaid(panel, centred, where, reach)
    sheet.paste(panel, (corner[0] + (SIDE - width) // 2, corner[1] + (SIDE - height) // 2))


def _opened_hit(side: HitSide, card: ModelCard, limits: ImageLimits) -> Image.Image | None:
    try:
        return _open(side.encoded, card, limits)
    except ImageError:
        return None


def _open(data: bytes, card: ModelCard, limits: ImageLimits) -> Image.Image:
    rule = card.preprocessing
    return open_rgb(data, limits, rule.background, rule.color_profile, least_side=2 * SIDE)


def _printable(text: str) -> str:
    """Pillow's own font has Latin letters; ids may hold any."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
