"""Sequence headers of AV1: how large the frames of a bitstream may be (AV1 specification, 5.3 and 5.5)."""

from collections.abc import Iterator

from contract.image_formats.failures import corrupt

_SEQUENCE_HEADER = 1
_MOST_UNITS = 2**12
_UNSPLIT_LEVELS = 7


def largest_frame(stream: bytes, *, alone: bool) -> int:
    """Return the number of pixels of the largest frame that the sequence headers allow; 0 for none.

    Behind a whole header, a frame may have any size that the header has bits for. Of an image that stands
    alone, the stated size counts: one frame is what its decoder bounds.
    """
    return max((_frame_pixels(_Bits(unit), alone=alone) for unit in _sequence_headers(stream)), default=0)


def _sequence_headers(stream: bytes) -> Iterator[bytes]:
    at = 0
    for _ in range(_MOST_UNITS):
        if at >= len(stream):
            return
        head = stream[at]
        at += 2 if head & 4 else 1
        length, at = _leb128(stream, at) if head & 2 else (len(stream) - at, at)
        if head >> 3 & 15 == _SEQUENCE_HEADER:
            yield stream[at : at + length]
        at += length
    raise corrupt("AVIF", f"an image of it has more than {_MOST_UNITS:,} units")


def _leb128(stream: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(8):
        byte = stream[at + place] if at + place < len(stream) else 0
        value |= (byte & 127) << 7 * place
        if not byte & 128:
            return value, at + place + 1
    return value, at + 8


def _frame_pixels(bits: "_Bits", *, alone: bool) -> int:
    bits.take(3 + 1)
    reduced = bits.take(1)
    if reduced:
        bits.take(5)
    else:
        _skip_operating_points(bits)
    width_bits, height_bits = bits.take(4) + 1, bits.take(4) + 1
    width, height = bits.take(width_bits) + 1, bits.take(height_bits) + 1
    return width * height if reduced or alone else 1 << width_bits + height_bits


def _skip_operating_points(bits: "_Bits") -> None:
    delay_bits = 0
    if bits.take(1):  # timing
        bits.take(64)
        if bits.take(1):
            bits.skip_variable()
        if bits.take(1):  # model of the decoder
            delay_bits = bits.take(5) + 1
            bits.take(32 + 5 + 5)
    shown_later = bits.take(1)
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > _UNSPLIT_LEVELS:
            bits.take(1)
        if delay_bits and bits.take(1):
            bits.take(2 * delay_bits + 1)
        if shown_later and bits.take(1):
            bits.take(4)


class _Bits:
    """Bits from the highest of the first byte on; zeros behind the end."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, count: int) -> int:
        """Read a number of that many bits."""
        start, self._at = self._at, self._at + count
        first, last = start // 8, (self._at + 7) // 8
        window = int.from_bytes(self._data[first:last].ljust(last - first, b"\0"), "big")
        return window >> 8 * last - self._at & (1 << count) - 1

    def skip_variable(self) -> None:
        """Read past a number of variable length (uvlc)."""
        zeros = 0
        while zeros < 32 and not self.take(1):
            zeros += 1
        self.take(zeros if zeros < 32 else 0)
