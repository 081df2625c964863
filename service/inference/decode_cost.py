"""Time that an image will take to decode, by its pixels and by what others of its kind have taken.

What an image costs is counted in time of a processor, which depends on the image. How long it takes depends
on what else the machine does, which is measured beside it for all images together.
"""

from enum import IntEnum
from io import BytesIO
from time import perf_counter, thread_time
from typing import NamedTuple

from PIL import Image

from contract.image_limits import ImageLimits
from contract.images import decode
from contract.preprocessing import Preprocessing
from service.inference.image_size import PROGRESSIVE, image_size

# Decoded in less time than it takes to hand an image to another thread. Few bytes can be many pixels, so both
# are bounded.
_SMALL_BYTES = 8 * 2**10
_SMALL_PIXELS = 128 * 128
# Ordinary photographs take a tenth of it or less; what takes longer does not stand in their way.
_LARGE_SECONDS = 0.1
# Of smaller images the time hardly depends on their pixels.
_TELLING_PIXELS = 256 * 256
# The latest images of a kind count; this one lasts for about ten.
_MEMORY = 0.9
_SAMPLE_SIDE = 256
_SAMPLE_RUNS = 2
_KINDS = ("JPEG", PROGRESSIVE, "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
# A sample of HEIC takes long to encode, and its pixels cost what those of AVIF do.
_LIKE = {"HEIC": "AVIF"}
_FASTEST = 10


class SizeClass(IntEnum):
    """Where an image is decoded."""

    SMALL = 0
    """By the thread of its batch."""
    ORDINARY = 1
    """By the decoding threads."""
    LARGE = 2
    """By decoding threads of its own, so that it holds up no ordinary image."""


class DecodeCost(NamedTuple):
    """What one image will cost.

    Attributes:
        size_class: where it is decoded.
        kind, pixels: as `ImageSize` has them.
        microseconds: processor time of decoding. An integer, so that sums come back to zero.
    """

    size_class: SizeClass
    kind: str
    pixels: int
    microseconds: int


class _Ratio:
    """What comes to one unit, by measurements of which the latest count more."""

    def __init__(self, units: float, amount: float) -> None:
        self._units = units
        self._amount = amount

    @property
    def value(self) -> float:
        return self._amount / self._units

    def learn(self, units: float, amount: float) -> None:
        self._units = self._units * _MEMORY + units
        self._amount = self._amount * _MEMORY + amount


class DecodeCosts:
    """Estimates that are corrected by what is measured.

    Threads may learn at the same time: an image lost by it does not matter.
    """

    def __init__(self, limits: ImageLimits, *, small_in_batch: bool) -> None:
        """Know nothing yet: `measure` comes first.

        Args:
            limits: what is larger is refused, which takes no time.
            small_in_batch: whether the thread of a batch decodes its small images.
        """
        self._most_pixels = limits.max_pixels
        self._small_bytes = _SMALL_BYTES if small_in_batch else -1
        # Processor seconds a pixel, by kind.
        self._rates: dict[str, _Ratio] = {}
        # Seconds of the wall for each of a processor.
        self._slowdown = _Ratio(1e-3, 1e-3)

    @property
    def slowdown(self) -> float:
        """How much longer decoding takes than its processor time."""
        return self._slowdown.value

    def measure(self, rule: Preprocessing) -> None:
        """Decode one sample of each kind by the model's rule."""
        picture = Image.effect_noise((_SAMPLE_SIDE, _SAMPLE_SIDE), 60).convert("RGB")
        pixels = _SAMPLE_SIDE**2
        for kind in _KINDS:
            file = BytesIO()
            progressive = kind == PROGRESSIVE
            picture.save(file, "JPEG" if progressive else kind, progressive=progressive, speed=_FASTEST)
            data = file.getvalue()
            costs = []
            for _ in range(_SAMPLE_RUNS):
                began, began_work = perf_counter(), thread_time()
                decode(data, rule)
                costs.append(thread_time() - began_work)
                self._slowdown.learn(costs[-1], perf_counter() - began)
            self._rates[kind] = _Ratio(pixels, min(costs))
        for kind, other in _LIKE.items():
            self._rates[kind] = _Ratio(1, self._rates[other].value)

    def of(self, data: bytes) -> DecodeCost:
        """Estimate one image."""
        kind, pixels = image_size(data)
        if len(data) <= self._small_bytes and pixels <= _SMALL_PIXELS:
            return DecodeCost(SizeClass.SMALL, kind, pixels, 0)
        rate = self._rates.get(kind) if pixels <= self._most_pixels else None
        seconds = 0.0 if rate is None else rate.value * pixels
        size_class = SizeClass.LARGE if seconds > _LARGE_SECONDS else SizeClass.ORDINARY
        return DecodeCost(size_class, kind, pixels, int(seconds * 1e6))

    def learn(self, cost: DecodeCost, processor: float, wall: float, *, complete: bool) -> None:
        """Correct the estimates by an image that took so many seconds.

        One that failed counts where it cost more than expected.
        """
        if cost.pixels >= _TELLING_PIXELS and processor > 0:
            self._slowdown.learn(processor, wall)
        rate = self._rates.get(cost.kind)
        if rate is None or not _TELLING_PIXELS <= cost.pixels <= self._most_pixels:
            return
        if complete or processor * 1e6 > cost.microseconds:
            rate.learn(cost.pixels, processor)
