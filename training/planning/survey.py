"""What can be known of images before they are decoded: how large they are, and how long decoding takes."""

import os
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass

from contract.errors import ImageError
from contract.image_formats import read_header
from contract.image_limits import ImageLimits
from contract.images import decode
from contract.preprocessing import Preprocessing
from training.data import Source
from training.data.image_set import sample_rows
from training.errors import DataError

_HEADERS, _DECODED = 200, 24
_LIMITS = ImageLimits(max_bytes=2**30, max_pixels=178_000_000)


@dataclass(frozen=True)
class Survey:
    """Figures of a seeded sample of the images.

    Attributes:
        count: how many images there are.
        side: median of their shorter sides in pixels.
        decoding_seconds: estimate for all of them, on all cores.
    """

    count: int
    side: int
    decoding_seconds: float


def survey(source: Source, seed: int) -> Survey:
    """Read the headers of some images, and decode a few of them.

    Raises:
        DataError: none of the sample can be read.
    """
    sides: list[int] = []
    seconds: list[float] = []
    rule = Preprocessing(width=64, height=64)
    for data in _sample(source, seed):
        try:
            header = read_header(data)
            sides.append(min(header.width, header.height))
            if len(seconds) < _DECODED:
                started = time.monotonic()
                decode(data, rule, _LIMITS)
                seconds.append(time.monotonic() - started)
        except ImageError:
            # Named when all images are decoded.
            continue
    if not sides or not seconds:
        raise DataError(
            f"None of {min(_HEADERS, source.count)} images of {source.path} can be read. Replace them, or "
            "name other images."
        )
    cores = os.cpu_count() or 1
    return Survey(
        source.count, round(statistics.median(sides)), source.count * statistics.fmean(seconds) / cores
    )


def _sample(source: Source, seed: int) -> Iterator[bytes]:
    """Read the bytes of some images, drawn from all of them: folders come sorted by class."""
    rows = sample_rows(source.count, _HEADERS, seed).tolist()
    wanted = set(rows)
    for row, image in enumerate(source.images()):
        if row in wanted:
            try:
                yield image.read()
            except OSError:
                continue
        if row >= rows[-1]:
            return
