"""What every kind of image data offers before a single image is decoded."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class EncodedImage:
    """One image that is still to be decoded.

    Attributes:
        name: what a report calls it.
        read: gives the encoded bytes; called in a decoding thread, may raise OSError.
    """

    name: str
    read: Callable[[], bytes]


@dataclass(frozen=True)
class Source:
    """Images in a fixed order, with their classes known.

    Attributes:
        path: where they come from, as the user wrote it.
        count: how many there are.
        labels: int64 [count] into `class_names`, or None.
        class_names: name of each class; empty without labels.
        fingerprint: changes when the files change; made of their paths, sizes and times.
        images: iterates over all of them in order, reading lazily.
    """

    path: str
    count: int
    labels: NDArray[np.int64] | None
    class_names: tuple[str, ...]
    fingerprint: str
    images: Callable[[], Iterator[EncodedImage]]
