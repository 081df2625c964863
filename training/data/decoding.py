"""Encoded images to pixels, on all cores and in order."""

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contract.errors import ImageError
from contract.image_limits import ImageLimits
from contract.images import decode
from contract.preprocessing import Preprocessing
from training.data.source import EncodedImage, Source

# Images that wait for one thread: each may be as large as a photograph.
_IN_FLIGHT_A_CORE = 4
# A user's own files, not a stranger's request; the pixels are where Pillow itself refuses.
_LIMITS = ImageLimits(max_bytes=2**30, max_pixels=178_000_000)


@dataclass(frozen=True)
class Decoded:
    """One image, decoded or found unreadable.

    Attributes:
        row: its place in the source.
        name: what a report calls it.
        pixels: uint8 [H, W, 3], or None when it is unreadable.
        problem: why it is unreadable, one sentence.
    """

    row: int
    name: str
    pixels: NDArray[np.uint8] | None
    problem: str = ""


def decode_all(source: Source, rule: Preprocessing) -> Iterator[Decoded]:
    """Decode every image of the source by the model's rule, in the source's order.

    An image that cannot be read or decoded is answered with its problem; nothing is raised for it.
    """
    waiting: deque[Future[Decoded]] = deque()
    threads = os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        try:
            for row, image in enumerate(source.images()):
                if len(waiting) == _IN_FLIGHT_A_CORE * threads:
                    yield waiting.popleft().result()
                waiting.append(pool.submit(_decode, row, image, rule))
            while waiting:
                yield waiting.popleft().result()
        finally:
            # Reached early when the caller has seen enough.
            pool.shutdown(cancel_futures=True)


def _decode(row: int, image: EncodedImage, rule: Preprocessing) -> Decoded:
    try:
        return Decoded(row, image.name, decode(image.read(), rule, _LIMITS).pixels)
    except OSError as error:
        return Decoded(row, image.name, None, f"The file cannot be read ({error.strerror or error}).")
    except ImageError as error:
        return Decoded(row, image.name, None, str(error))
