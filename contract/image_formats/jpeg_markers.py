"""Markers of a JPEG: its segments before the first scan, and its scans up to the end of the image.

ISO/IEC 10918-1, annex B. A marker is 0xFF and a code. In entropy-coded data 0xFF is followed by 0 or by a
restart code, so any other pair is the next marker. Phones append whole videos behind the end of the image.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from contract.image_formats.failures import corrupt, truncated

START_OF_SCAN = 0xDA
END_OF_IMAGE = 0xD9
_NUMBER_OF_LINES = 0xDC
_STANDALONE = frozenset((0x01, *range(0xD0, 0xD9)))
_TABLES = (0xC4, 0xDB)
_NEXT_SEGMENT = re.compile(rb"\xff[\x01-\xfe]", re.DOTALL)
_NEXT_IN_SCAN = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]", re.DOTALL)
# Up to here a regular expression is faster than NumPy. A large photograph takes NumPy a third of the time, in
# which other threads run.
_SMALL_BYTES = 2**13
_WINDOW_BYTES = 2**18
# A file of a few bytes for each segment would keep the interpreter busy for seconds.
_MOST_SEGMENTS = 4096
_MOST_MARKERS = 2**16
_COEFFICIENTS = range(64)


class Segment(NamedTuple):
    """One marker segment: its code, and where it and its content lie in the file."""

    code: int
    start: int
    content: int
    stop: int


class Scans(NamedTuple):
    """Scans of one JPEG up to the end of the image, and whether the marker of that end is there."""

    segments: list[Segment]
    ended: bool


def segments_before_scan(data: bytes) -> Iterator[Segment]:
    """Yield the segments of the header without its tables; the last one is the first start of scan.

    Raises:
        ImageError: `truncated_image` or `corrupt_image`.
    """
    at = 2
    for _ in range(_MOST_SEGMENTS):
        match = _NEXT_SEGMENT.search(data, at)
        if match is None:
            raise truncated("JPEG", "the file stops before the first scan")
        at = match.start()
        code = data[at + 1]
        if code == END_OF_IMAGE:
            raise corrupt("JPEG", "the image ends before its first scan")
        if code in _STANDALONE:
            at += 2
            continue
        stop = _stop(data, at)
        if code not in _TABLES:
            yield Segment(code, at, at + 4, stop)
            if code == START_OF_SCAN:
                return
        at = stop
    raise corrupt("JPEG", f"it has more than {_MOST_SEGMENTS:,} segments before its first scan")


def read_scans(data: bytes, first: Segment, most: int) -> Scans:
    """Read the scans from the first one to the end of the image, or to one more than `most`.

    Raises:
        ImageError: `truncated_image` or `corrupt_image`.
    """
    segments = [first]
    behind = first.stop
    for seen, at in enumerate(_markers_from(data, first.stop)):
        if at < behind:
            continue  # it belongs to the content of a segment
        if seen > _MOST_MARKERS:
            raise corrupt("JPEG", f"it has more than {_MOST_MARKERS:,} markers")
        code = data[at + 1]
        if code == END_OF_IMAGE:
            return Scans(segments, ended=True)
        if code < 0xC0 or code in _STANDALONE:
            behind = at + 2
            continue
        behind = _stop(data, at)
        if code == START_OF_SCAN:
            segments.append(Segment(code, at, at + 4, behind))
            if len(segments) > most:
                break
    return Scans(segments, ended=False)


def number_of_lines(data: bytes, first: Segment) -> int:
    """Read the height that a segment DNL behind the first scan states; 0 where there is none (B.2.5)."""
    for at in _markers_from(data, first.stop):
        code = data[at + 1]
        if code == _NUMBER_OF_LINES:
            return int.from_bytes(data[at + 4 : at + 6], "big")
        if code >= 0xC0 and code not in _STANDALONE:
            break
    return 0


def all_sent(data: bytes, scans: Scans, components: Iterable[int], *, progressive: bool) -> bool:
    """Tell whether the scans send every coefficient of these components to its last bit."""
    sent: set[tuple[int, int]] = set()
    for segment in scans.segments:
        header = data[segment.content : segment.stop]
        if len(header) < 4:
            continue
        coefficients = _COEFFICIENTS
        if progressive:
            first, last, approximation = header[-3:]
            coefficients = _COEFFICIENTS[first : last + 1] if approximation & 0x0F == 0 else range(0)
        sent.update((one, k) for one in header[1 : 1 + 2 * header[0] : 2] for k in coefficients)
    return all((one, k) in sent for one in components for k in _COEFFICIENTS)


def _markers_from(data: bytes, start: int) -> Iterator[int]:
    """Yield where there are pairs that end entropy-coded data."""
    if len(data) - start <= _SMALL_BYTES:
        yield from (match.start() for match in _NEXT_IN_SCAN.finditer(data, start))
        return
    # In windows, since what lies behind the end of the image may be a hundred times as large.
    for window in range(start, len(data) - 1, _WINDOW_BYTES):
        codes = np.frombuffer(data, np.uint8, min(_WINDOW_BYTES + 1, len(data) - window), window)
        places = np.flatnonzero(codes[:-1] == 0xFF)
        code = codes[places + 1]
        ends = (code != 0) & (code != 0xFF) & ((code & 0xF8) != 0xD0)
        yield from (window + int(place) for place in places[ends])


def _stop(data: bytes, at: int) -> int:
    """Return where the segment whose marker stands here stops."""
    length = int.from_bytes(data[at + 2 : at + 4], "big")
    stop = at + 2 + length
    if stop > len(data) or at + 4 > len(data):
        raise truncated("JPEG", f"its segment at byte {at:,} is cut off")
    if length < 2:
        raise corrupt("JPEG", f"its segment at byte {at:,} has the length {length}")
    return stop
