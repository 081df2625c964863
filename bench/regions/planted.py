"""Photographs with a part of another one, and queries that hold the same part elsewhere."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image

_JPEG_QUALITY = 90
# A square has so many symmetries, by which few photographs make many.
SYMMETRIES = tuple(Image.Transpose)
Place = tuple[float, float, float, float]


@dataclass(frozen=True)
class Query:
    """A picture to search by.

    Attributes:
        item: number of the item that holds the part.
        picture: encoded.
        region: where the part lies in it: x, y, width, height.
        place: where the part lies in the item.
        crop: the part alone, encoded.
    """

    item: int
    picture: bytes
    region: Place
    place: Place
    crop: bytes


class Planted:
    """Items of which the first ones hold a part, and the queries for them.

    Three photographs are taken for each query: the part, and what surrounds it in item and query. Parts are
    whole photographs of half a side; all photographs are squares.
    """

    def __init__(
        self, photographs: Sequence[Image.Image], items: int, queries: int, scale: float = 1.0
    ) -> None:
        """Choose by chance, always alike.

        Args:
            photographs: squares of one size, at least three for each query and one more.
            items: number of items.
            queries: number of queries.
            scale: size of a part in a query, as a share of its size in the item.
        """
        most = queries + (len(photographs) - 3 * queries) * (1 + len(SYMMETRIES))
        if len(photographs) <= 3 * queries or items > most:
            raise ValueError(f"{len(photographs)} photographs make at most {max(0, most)} items. Give more.")
        rng = np.random.default_rng(0)
        order = rng.permutation(len(photographs))
        chosen = [photographs[number] for number in order]
        self._parts, self._around = chosen[:queries], chosen[queries : 2 * queries]
        self._others, self._rest = chosen[2 * queries : 3 * queries], chosen[3 * queries :]
        self._count, self._side = items, photographs[0].width
        self._sizes = self._side // 2, round(self._side // 2 * scale)
        self._places = [rng.integers(0, self._side - size + 1, (queries, 2)).tolist() for size in self._sizes]

    def items(self) -> Iterator[bytes]:
        """Yield the encoded items; the first ones hold the parts, in the order of the queries."""
        count = 0
        for part, around, place in zip(self._parts, self._around, self._places[0], strict=True):
            yield _encoded(self._pasted(around, part, place, self._sizes[0]))
            count += 1
        for symmetry in (None, *SYMMETRIES):
            for photograph in self._rest:
                if count == self._count:
                    return
                yield _encoded(photograph if symmetry is None else photograph.transpose(symmetry))
                count += 1

    def queries(self) -> Iterator[Query]:
        """Yield the queries."""
        size, asked = self._sizes
        for number, part in enumerate(self._parts):
            left, top = self._places[0][number]
            x, y = self._places[1][number]
            yield Query(
                number,
                _encoded(self._pasted(self._others[number], part, (x, y), asked)),
                (x, y, asked, asked),
                (left, top, size, size),
                _encoded(part),
            )

    @staticmethod
    def _pasted(around: Image.Image, part: Image.Image, place: Sequence[int], size: int) -> Image.Image:
        picture = around.copy()
        picture.paste(part.resize((size, size), Image.Resampling.BICUBIC), (place[0], place[1]))
        return picture


def square(data: bytes, side: int) -> Image.Image:
    """Decode the middle of a photograph as a square."""
    picture = Image.open(BytesIO(data)).convert("RGB")
    least = min(picture.size)
    left, top = (picture.width - least) // 2, (picture.height - least) // 2
    box = (left, top, left + least, top + least)
    return picture.resize((side, side), Image.Resampling.BICUBIC, box=box)


def overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """Compute the intersection of two rectangles (x, y, width, height) over their union."""
    sides = [
        max(0.0, min(one[axis] + one[axis + 2], other[axis] + other[axis + 2]) - max(one[axis], other[axis]))
        for axis in (0, 1)
    ]
    both = sides[0] * sides[1]
    return both / (one[2] * one[3] + other[2] * other[3] - both)


def _encoded(picture: Image.Image) -> bytes:
    file = BytesIO()
    picture.save(file, "JPEG", quality=_JPEG_QUALITY)
    return file.getvalue()
