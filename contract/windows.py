"""Windows of an image beside a model's input: what the input would show, were it moved by parts of a patch.

Each window is resampled from the decoded image as the input itself is, by Pillow's antialiased filter, whose
places need not be whole pixels. Where a window reaches beyond the image, its edge is repeated. Under a centre
crop it shows the original there; around a letterboxed image it shows the background.
"""

from collections.abc import Sequence
from math import ceil, floor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from contract.placement import Axis, place
from contract.preprocessing import Preprocessing

# Of a pixel: less is an error of rounding.
_ROUNDING = 1e-6


class _Span(NamedTuple):
    """One side of a window: pixels `start` to `end` show the stretch `seen` of the original.

    Those from `first` to `last` that lie outside of them repeat the edge; all others are background.
    """

    start: int
    end: int
    seen: tuple[float, float]
    first: int
    last: int


def displacements(stride: float, resolution: int) -> tuple[float, ...]:
    """Return the displacements whose patch centres divide each stride into `resolution` equal parts.

    They lie evenly around zero, in pixels of the input: 1 and -1 for a stride of 4 and a resolution of 2.
    """
    return tuple((2 * place + 1 - resolution) / 2 * stride / resolution for place in range(resolution))


def windows(
    image: Image.Image, rule: Preprocessing, original: tuple[int, int], moved: Sequence[float]
) -> NDArray[np.uint8]:
    """Resample all windows of an image.

    Args:
        image: upright, RGB; the original, or a reduced decode of it.
        rule: with the size of the input.
        original: (width, height) of the upright original.
        moved: displacements along each side, in pixels of the input; positive to the right and down.

    Returns:
        uint8 [R, R, height, width, 3] for R displacements: by the one down, then by the one across.
    """
    placement = place(rule, original)
    across = [_span(placement.across, rule.width, original[0], by) for by in moved]
    down = [_span(placement.down, rule.height, original[1], by) for by in moved]
    found = np.empty((len(moved), len(moved), rule.height, rule.width, 3), np.uint8)
    found[:] = rule.background
    x, y = image.width / original[0], image.height / original[1]
    for column, right in enumerate(across):
        # The windows of a column share this pass over the image. Pillow chooses the order of its passes by
        # the shape, which changes the rounding of a pixel by one level at most.
        part = (right.seen[0] * x, 0, right.seen[1] * x, image.height)
        strip = image.resize((right.end - right.start, image.height), Image.Resampling.BILINEAR, box=part)
        for row, below in enumerate(down):
            box = (0, below.seen[0] * y, strip.width, below.seen[1] * y)
            shown = strip.resize((strip.width, below.end - below.start), Image.Resampling.BILINEAR, box=box)
            edges = [(span.start - span.first, span.last - span.end) for span in (below, right)]
            filled = slice(below.first, below.last), slice(right.first, right.last)
            found[row, column][filled] = np.pad(np.asarray(shown), (*edges, (0, 0)), mode="edge")
    return found


def _span(axis: Axis, length: int, original: int, by: float) -> _Span:
    """Find what a window of `length` pixels shows of an original of `original` pixels."""
    begin, stop = axis.to_input(0) - by, axis.to_input(original) - by
    start, end = max(0, ceil(begin - _ROUNDING)), min(length, floor(stop + _ROUNDING))
    if start >= end:
        # A letterboxed line, thinner than two pixels: the pixel that holds most of it shows all of it.
        start = min(max(0, floor((begin + stop) / 2)), length - 1)
        return _Span(start, start + 1, (0, original), start, start + 1)
    seen = max(0.0, axis.to_original(start + by)), min(float(original), axis.to_original(end + by))
    if axis.filled != (0, length):
        # A pixel that the image covers half is the image's.
        first = min(start, max(0, ceil(begin - 0.5 - _ROUNDING)))
        last = max(end, min(length, floor(stop + 0.5 + _ROUNDING)))
        return _Span(start, end, seen, first, last)
    return _Span(start, end, seen, 0, length)
