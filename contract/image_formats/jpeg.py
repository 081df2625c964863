"""JPEG, also as the first image of an MPO and in front of the video of a motion photo."""

import hashlib
import re
from io import BytesIO

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from contract.errors import ImageError
from contract.image_formats.encoded_file import EncodedFile
from contract.image_formats.failures import corrupt, truncated, undecodable, unsupported_variant
from contract.image_formats.jpeg_markers import (
    START_OF_SCAN,
    Scans,
    Segment,
    all_sent,
    number_of_lines,
    read_scans,
    segments_before_scan,
)
from contract.orientation import read_orientation

_START_OF_IMAGE = b"\xff\xd8"
_END_OF_IMAGE = b"\xff\xd9"
_APP1 = 0xE1
_APP2 = 0xE2
_RESTART_INTERVAL = 0xDD
_EXIF = b"Exif\0\0"
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_ICC = b"ICC_PROFILE\0"
# Start-of-frame codes; the others between 0xC0 and 0xCF define tables.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset((0xC2, 0xC6, 0xCA, 0xCE))
_LOSSLESS_OR_HIERARCHICAL = frozenset((0xC3, 0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF))
_FRAME_BYTES = 6
_COMPONENTS = (1, 3, 4)
_RESTART = re.compile(rb"\xff([\xd0-\xd7])", re.DOTALL)
# Entropy-coded data without a marker, and the same with nearly every bit the other way.
_FILLER = bytes((place * 167 + 13) % 255 for place in range(256))
_FILLERS = (_FILLER, bytes(0xFE - byte for byte in _FILLER))
_STRIP_ROWS = 64


class JpegFile(EncodedFile):
    """A JPEG whose segments before the first scan have been read."""

    format = "JPEG"

    @staticmethod
    def matches(data: bytes) -> bool:
        return data.startswith(b"\xff\xd8\xff")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._frame: Segment | None = None
        self._restarts = False
        exif, xmp = b"", b""
        profile_parts: list[bytes] = []
        for segment in segments_before_scan(data):
            code, start = segment.code, segment.content
            if code in _FRAMES and self._frame is None:
                self._frame = segment
            elif code == _APP1 and data.startswith(_EXIF, start):
                exif += data[start + len(_EXIF) : segment.stop]
            elif code == _APP1 and data.startswith(_XMP, start):
                xmp += data[start + len(_XMP) : segment.stop]
            elif code == _APP2 and data.startswith(_ICC, start):
                profile_parts.append(data[start + len(_ICC) : segment.stop])
            elif code == _RESTART_INTERVAL:
                self._restarts = any(data[start : segment.stop])
            elif code == START_OF_SCAN:
                self._scan = segment
        self.orientation = read_orientation(exif, xmp)
        self.icc_profile = _joined(profile_parts)
        self._read_frame()

    def _read_frame(self) -> None:
        if self._frame is None:
            raise corrupt("JPEG", "no frame header stands before its first scan")
        content = self._data[self._frame.content : self._frame.stop]
        if len(content) < _FRAME_BYTES or len(content) < _FRAME_BYTES + 3 * content[5]:
            raise corrupt("JPEG", "its frame header is too short")
        bits, components = content[0], content[5]
        self._progressive = self._frame.code in _PROGRESSIVE
        self.height = int.from_bytes(content[1:3], "big")
        self.width = int.from_bytes(content[3:5], "big")
        if self.height == 0:
            self._take_height(number_of_lines(self._data, self._scan))
        self._components = tuple(content[_FRAME_BYTES : _FRAME_BYTES + 3 * components : 3])
        if bits != 8:
            raise _variant(f"it has {bits} bits for each sample, and 8 are read")
        if components not in _COMPONENTS:
            raise _variant(f"it has {components} channels, and 1, 3 or 4 are read")

    def _take_height(self, height: int) -> None:
        """Write a height that stands behind the first scan into the frame header, where libjpeg reads it."""
        assert self._frame is not None  # noqa: S101 (the caller has read it)
        self.height = height
        at = self._frame.content + 1
        self._data = self._data[:at] + height.to_bytes(2, "big") + self._data[at + 2 :]

    def load(self) -> Image.Image:
        assert self._frame is not None  # noqa: S101 (the constructor refuses what has none)
        scans = read_scans(self._data, self._scan, self.max_scans)
        if len(scans.segments) > self.max_scans:
            raise ImageError(
                "too_many_scans",
                f"The JPEG has more than {self.max_scans} scans, which is the limit. "
                "Save it again as a baseline JPEG.",
                limit=self.max_scans,
            )
        try:
            if scans.ended:
                return self._decode(self._data)
            return self._decode_without_end(scans)
        except ImageError:
            raise
        except Exception as error:
            if self._frame.code in _LOSSLESS_OR_HIERARCHICAL:
                raise _variant("it is lossless or hierarchical") from error
            raise undecodable("JPEG", error) from error

    def _decode(self, data: bytes) -> Image.Image:
        """Have the pixels decoded by libjpeg from the whole file, while Pillow sees no metadata of it."""
        assert self._frame is not None  # noqa: S101 (as above)
        segments = (self._data[one.start : one.stop] for one in (self._frame, self._scan))
        image = JpegImageFile(BytesIO(_START_OF_IMAGE + b"".join(segments)))
        image.fp = BytesIO(data)
        if self.draft_size is not None:
            image.draft("RGB", self.draft_size)
        # One piece in place of dozens: nothing is copied, and the interpreter lock is left once.
        image.decodermaxblock = len(data)
        image.load()
        return image

    def _decode_without_end(self, scans: Scans) -> Image.Image:
        """Decode a file that lacks the marker of its end, if no pixel depends on what may be missing.

        Where bits are missing, the pixels differ with what stands in their place: zeros, or fillers.
        """
        missing = truncated("JPEG", "the rest of its last scan is missing")
        if not all_sent(self._data, scans, self._components, progressive=self._progressive):
            raise missing
        data = self._data.rstrip(b"\xff")
        restart = b""
        if self._restarts:
            # A decoder that waits for a restart passes over all else.
            codes = _RESTART.findall(data, scans.segments[-1].stop)
            restart = bytes((0xFF, 0xD0 + (codes[-1][0] + 1) % 8 if codes else 0xD0))
        tails = [filler + restart + filler + _END_OF_IMAGE for filler in _FILLERS]
        try:
            filled = _digest(self._decode(data + tails[0]))
            if filled != _digest(self._decode(data + tails[1])):
                raise missing
        except ImageError:
            raise
        except Exception as error:
            raise missing from error
        image = self._decode(data + _END_OF_IMAGE)
        if filled != _digest(image):
            raise missing
        return image


def _variant(variant: str) -> ImageError:
    return unsupported_variant("JPEG", variant, "Save it as a baseline JPEG.")


def _joined(parts: list[bytes]) -> bytes:
    """Join the parts of an ICC profile, each behind its number and their count; empty if one is missing."""
    parts.sort()
    if [tuple(part[:2]) for part in parts] != [(number, len(parts)) for number in range(1, len(parts) + 1)]:
        return b""
    return b"".join(part[2:] for part in parts)


def _digest(image: Image.Image) -> bytes:
    """Return a digest of the pixels, made in strips so that they are not held twice."""
    digest = hashlib.sha256()
    for top in range(0, image.height, _STRIP_ROWS):
        digest.update(image.crop((0, top, image.width, min(top + _STRIP_ROWS, image.height))).tobytes())
    return digest.digest()
