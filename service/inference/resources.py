"""Resources of a call: what it takes of the room and of the time of the service."""

from collections.abc import Sequence
from typing import NamedTuple

from service.inference.decode_cost import DecodeCost, SizeClass


class Resources(NamedTuple):
    """Images of a call.

    Attributes:
        items: how many there are.
        bytes: their bytes, encoded and decoded.
        large: how many of them are large pictures.
        decode_microseconds: decoding of the ordinary ones.
        large_microseconds: decoding of the large ones.
    """

    items: int
    bytes: int
    large: int = 0
    decode_microseconds: int = 0
    large_microseconds: int = 0

    def __add__(self, other: "Resources") -> "Resources":  # type: ignore[override]
        return Resources(
            self.items + other.items,
            self.bytes + other.bytes,
            self.large + other.large,
            self.decode_microseconds + other.decode_microseconds,
            self.large_microseconds + other.large_microseconds,
        )

    def __sub__(self, other: "Resources") -> "Resources":
        return Resources(
            self.items - other.items,
            self.bytes - other.bytes,
            self.large - other.large,
            self.decode_microseconds - other.decode_microseconds,
            self.large_microseconds - other.large_microseconds,
        )

    def within(self, limit: "Resources") -> bool:
        """Tell whether there is room for it; time is no room."""
        return self.items <= limit.items and self.bytes <= limit.bytes


def resources_of(images: Sequence[bytes], costs: Sequence[DecodeCost], decoded_bytes: int) -> Resources:
    """Add up a call's images, each of which takes so many bytes once it is decoded."""
    large = ordinary_microseconds = large_microseconds = 0
    for cost in costs:
        if cost.size_class is SizeClass.LARGE:
            large += 1
            large_microseconds += cost.microseconds
        else:
            ordinary_microseconds += cost.microseconds
    size = sum(map(len, images)) + len(images) * decoded_bytes
    return Resources(len(images), size, large, ordinary_microseconds, large_microseconds)
