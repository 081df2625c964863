"""TIFF of up to 16 bits a sample, of which the first page counts."""

from io import BytesIO

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from contract.errors import ImageError
from contract.image_formats import tiff_directory as tag
from contract.image_formats.encoded_file import EncodedFile
from contract.image_formats.failures import corrupt, truncated, unsupported_variant
from contract.image_formats.quiet_libtiff import silence
from contract.image_formats.tiff_directory import TiffDirectory
from contract.orientation import UPRIGHT, read_orientation

# Others hold files of other formats, facsimiles, or need decoders that few images justify.
_NONE = 1
_COMPRESSIONS = {_NONE: "none", 5: "LZW", 8: "deflate", 32773: "PackBits", 32946: "deflate"}
_KNOWN = {2: "CCITT", 3: "CCITT", 4: "CCITT", 6: "JPEG", 7: "JPEG", 34887: "LERC", 50000: "Zstandard"}
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK = 0, 1, 2, 3, 5
# Samples of a pixel without transparency, and the bits that one may have.
_COLOURS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _PALETTE: 1, _CMYK: 4}
_BITS = {
    _WHITE_IS_ZERO: (1, 2, 4, 8, 16),
    _BLACK_IS_ZERO: (1, 2, 4, 8, 16),
    _RGB: (8, 16),
    _PALETTE: (1, 2, 4, 8),
    _CMYK: (8, 16),
}
_UNSIGNED = {1, 4}
_TOGETHER, _APART = 1, 2
_MOST_SAMPLES = 6
_MOST_TILE_SIDE = 8192

silence()


class TiffFile(EncodedFile):
    """A TIFF whose first directory has been read."""

    format = "TIFF"

    @staticmethod
    def matches(data: bytes) -> bool:
        return data.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"))

    def __init__(self, data: bytes) -> None:
        self._directory = fields = TiffDirectory(data)
        self.width, self.height = fields.number(tag.WIDTH, 0), fields.number(tag.HEIGHT, 0)
        self._photometric = fields.number(tag.PHOTOMETRIC, _BLACK_IS_ZERO)
        self._samples = fields.number(tag.SAMPLES, 1)
        self._bits = fields.numbers(tag.BITS) or (1,)
        self._compression = fields.number(tag.COMPRESSION, _NONE)
        self._planes = fields.number(tag.PLANES, _TOGETHER)
        self._check_variant()
        self._length = len(data)
        turn = fields.number(tag.ORIENTATION, 0)
        self.orientation = turn if UPRIGHT <= turn <= 8 else read_orientation(b"", fields.text(tag.XMP))
        self.icc_profile = fields.text(tag.ICC_PROFILE)

    def load(self) -> Image.Image:
        inverted = self._photometric == _WHITE_IS_ZERO and self._bits[0] == 16
        photometric = _BLACK_IS_ZERO if inverted else self._photometric
        fields = {tag.PHOTOMETRIC: photometric, tag.SAMPLES: self._samples, **self._checked_layout()}
        try:
            image = TiffImageFile(BytesIO(self._directory.rewritten(fields)))
        except SyntaxError as error:
            raise self._variant() from error
        try:
            image.load()
        except OSError as error:
            if str(error).startswith("decoder error"):
                raise corrupt("TIFF", "its pixels cannot be decompressed") from error
            raise
        # Pillow turns over what is white at zero in 8 bits only.
        return Image.fromarray(65535 - np.asarray(image).astype(np.uint16)) if inverted else image

    def _check_variant(self) -> None:
        """Refuse what Pillow reads wrongly or not at all, and what is read by decoders of other formats."""
        fields, colours = self._directory, _COLOURS.get(self._photometric)
        if self._compression not in _COMPRESSIONS:
            name = _KNOWN.get(self._compression, f"the method {self._compression}")
            raise _refused(f"it is compressed by {name}")
        if colours is None:
            raise _refused(
                f"its colours are of the kind {self._photometric}, and grey, RGB and CMYK are read"
            )
        known = (
            not set(fields.numbers(tag.SAMPLE_FORMAT)) - _UNSIGNED
            and len(set(self._bits)) == 1
            and self._bits[0] in _BITS[self._photometric]
            and colours <= self._samples <= _MOST_SAMPLES
            and fields.number(tag.FILL_ORDER, 1) == 1
            and fields.number(tag.PREDICTOR, 1) in (1, 2)
            and self._planes in (_TOGETHER, _APART)
            # Pillow takes the higher byte of each such number for two samples.
            and not (self._planes == _APART and self._bits[0] == 16 and self._compression == _NONE)
        )
        if not known:
            raise self._variant()

    def _variant(self) -> ImageError:
        bits = "/".join(map(str, self._bits[:_MOST_SAMPLES]))
        return _refused(f"it has {self._samples} samples a pixel of {bits} bits in a layout that is not read")

    def _checked_layout(self) -> dict[int, int]:
        """Hold the strips or tiles against the file; return the fields that say how large they are."""
        fields = self._directory
        if fields.numbers(tag.TILE_OFFSETS):
            across, down = fields.number(tag.TILE_WIDTH, 0), fields.number(tag.TILE_HEIGHT, 0)
            if not (0 < across <= _MOST_TILE_SIDE and 0 < down <= _MOST_TILE_SIDE):
                raise corrupt("TIFF", f"its tiles are {across:,} x {down:,} pixels")
            count = -(-self.width // across) * -(-self.height // down)
            self._check_pieces(fields.numbers(tag.TILE_OFFSETS), fields.numbers(tag.TILE_BYTES), count)
            return {tag.TILE_WIDTH: across, tag.TILE_HEIGHT: down}
        rows = min(fields.number(tag.STRIP_ROWS, self.height), self.height)
        if rows == 0:
            raise corrupt("TIFF", "its strips have 0 rows")
        count = -(-self.height // rows)
        self._check_pieces(fields.numbers(tag.STRIP_OFFSETS), fields.numbers(tag.STRIP_BYTES), count)
        return {tag.STRIP_ROWS: rows}

    def _check_pieces(self, offsets: tuple[int, ...], sizes: tuple[int, ...], count: int) -> None:
        if self._planes == _APART:
            count *= self._samples
        if len(offsets) < count or len(sizes) < count:
            listed = min(len(offsets), len(sizes))
            raise corrupt("TIFF", f"it lists {listed:,} of its {count:,} strips or tiles")
        stops = (offset + size for offset, size in zip(offsets[:count], sizes, strict=False))
        missing = max(stops) - self._length
        if missing > 0:
            raise truncated("TIFF", f"{missing:,} of the announced bytes are missing")


def _refused(variant: str) -> ImageError:
    return unsupported_variant("TIFF", variant, "Save it as PNG, or as a TIFF of 8 bits with LZW.")
