"""PNG, without the chunks that do not touch its pixels.

PNG specification, third edition. Of ancillary chunks, transparency counts where it is whole, the camera's
orientation and the ICC profile. All others are left out before Pillow reads the file, damaged or not.
"""

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO

from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from contract.image_formats.encoded_file import EncodedFile
from contract.image_formats.failures import corrupt, truncated, unsupported_variant
from contract.orientation import read_orientation

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEAD = struct.Struct(">I4s")
_HEADER = struct.Struct(">IIBBBBB")
_AROUND_BYTES = 12  # length, name and checksum
_PALETTE_TYPE = 3
# Bit depths by colour type.
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), _PALETTE_TYPE: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
# Least bytes of transparency by colour type; the others have a channel of it.
_TRANSPARENCY_BYTES = {0: 2, 2: 6, _PALETTE_TYPE: 1}
# Real encoders write some thousands; each costs a step of the interpreter.
_MOST_CHUNKS = 2**16
_MOST_METADATA_BYTES = 2**20
_NOTED = frozenset((b"eXIf", b"tEXt", b"zTXt", b"iTXt", b"iCCP"))
_EXIF_TEXT = b"Raw profile type exif\0"
_XMP_TEXT = b"XML:com.adobe.xmp\0"


class PngFile(EncodedFile):
    """A PNG whose first chunk has been read."""

    format = "PNG"

    @staticmethod
    def matches(data: bytes) -> bool:
        return data.startswith(_SIGNATURE)

    def __init__(self, data: bytes) -> None:
        self._data = data
        start = len(_SIGNATURE)
        if len(data) < start + _AROUND_BYTES + _HEADER.size:
            raise truncated("PNG", "the file stops within its header")
        length, name = _HEAD.unpack_from(data, start)
        if name == b"CgBI":
            raise unsupported_variant(
                "PNG", "it is of Apple's own kind for programs (CgBI)", "Export it as an ordinary PNG."
            )
        if name != b"IHDR" or length != _HEADER.size:
            raise corrupt("PNG", "its first chunk is not a header (IHDR)")
        if not _whole(data, start, length):
            raise corrupt("PNG", "the checksum of its header (IHDR) is wrong")
        fields = _HEADER.unpack_from(data, start + _HEAD.size)
        self.width, self.height, depth, self._colour, compression, filtering, interlace = fields
        if depth not in _DEPTHS.get(self._colour, ()):
            raise corrupt("PNG", f"PNG knows no colour type {self._colour} with {depth} bits")
        if compression or filtering or interlace > 1:
            raise corrupt(
                "PNG",
                f"its header asks for compression method {compression}, filter method {filtering} and "
                f"interlace method {interlace}, and PNG knows 0, 0 and 0 or 1",
            )
        self._exif = self._xmp = b""

    def load(self) -> Image.Image:
        image = PngImageFile(BytesIO(self._pixels_only()))
        image.load()
        self.orientation = read_orientation(self._exif, self._xmp)
        return image

    def _pixels_only(self) -> bytes:
        """Return the file with what the pixels are made of; the file itself where it has nothing else."""
        data = self._data
        kept = [slice(0, len(_SIGNATURE))]
        names: set[bytes] = set()
        for name, start, length in self._chunks():
            stop = min(start + _AROUND_BYTES + length, len(data))
            if not self._keeps(name, start, length, seen=names):
                continue
            names.add(name)
            if kept[-1].stop == start:
                kept[-1] = slice(kept[-1].start, stop)
            else:
                kept.append(slice(start, stop))
        if b"IDAT" not in names:
            raise corrupt("PNG", "it has no pixels (no chunk IDAT)")
        if self._colour == _PALETTE_TYPE and b"PLTE" not in names:
            raise corrupt("PNG", "its pixels refer to a palette and it has none (no chunk PLTE)")
        if len(kept) == 1 and kept[0].stop == len(data):
            return data
        return b"".join(data[one] for one in kept)

    def _chunks(self) -> Iterator[tuple[bytes, int, int]]:
        """Yield name, start and length of the content of each chunk up to the end of the image."""
        data, at, pixels_seen = self._data, len(_SIGNATURE), False
        for _ in range(_MOST_CHUNKS):
            if at + _HEAD.size > len(data):
                if not pixels_seen:
                    raise truncated("PNG", "the file stops before its pixels (the chunk IDAT)")
                return
            length, name = _HEAD.unpack_from(data, at)
            if not name.isalpha():
                if pixels_seen:
                    return
                raise corrupt("PNG", f"no chunk begins at byte {at:,}, where one has to")
            stop = at + _AROUND_BYTES + length
            if stop > len(data) and name != b"IDAT":
                if pixels_seen:
                    return
                raise truncated("PNG", f"its chunk {name.decode('ascii')} is cut off")
            yield name, at, length
            pixels_seen = pixels_seen or name == b"IDAT"
            if name == b"IEND":
                return
            at = stop
        raise corrupt("PNG", f"it has more than {_MOST_CHUNKS:,} chunks")

    def _keeps(self, name: bytes, start: int, length: int, seen: set[bytes]) -> bool:
        """Tell whether the pixels need this chunk; note the orientation where it holds one."""
        if name in (b"IDAT", b"IEND"):
            return True
        if name in seen:
            return False
        if name in (b"IHDR", b"PLTE"):
            if not _whole(self._data, start, length):
                raise corrupt("PNG", f"the checksum of its chunk {name.decode('ascii')} is wrong")
            return name == b"IHDR" or b"IDAT" not in seen
        if name == b"tRNS":
            least = _TRANSPARENCY_BYTES.get(self._colour)
            return (
                least is not None
                and length >= least
                and b"IDAT" not in seen
                and _whole(self._data, start, length)
            )
        if length <= _MOST_METADATA_BYTES and name in _NOTED:
            self._note(name, self._data[start + _HEAD.size : start + _HEAD.size + length])
        return False

    def _note(self, name: bytes, content: bytes) -> None:
        if name == b"eXIf":
            self._exif = content
        elif content.startswith(_EXIF_TEXT) and not self._exif:
            text = content[len(_EXIF_TEXT) :]
            self._exif = _unhex(_inflated(text[1:]) if name == b"zTXt" else text)
        elif content.startswith(_XMP_TEXT):
            flags = content[len(_XMP_TEXT) : len(_XMP_TEXT) + 1]
            _, _, text = content[len(_XMP_TEXT) + 2 :].partition(b"\0")
            text = text.partition(b"\0")[2]
            self._xmp = _inflated(text) if flags == b"\1" else text
        elif name == b"iCCP":
            _, _, profile = content.partition(b"\0")
            self.icc_profile = _inflated(profile[1:])


def _whole(data: bytes, start: int, length: int) -> bool:
    """Tell whether the checksum of a chunk is right."""
    end = start + _HEAD.size + length
    return zlib.crc32(memoryview(data)[start + 4 : end]) == int.from_bytes(data[end : end + 4], "big")


def _inflated(content: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(content, _MOST_METADATA_BYTES)
    except zlib.error:
        return b""


def _unhex(text: bytes) -> bytes:
    """Read what ImageMagick writes: a name and a length, each with a line of its own, and hex digits."""
    try:
        return bytes.fromhex(b"".join(text.split(b"\n")[3:]).decode("ascii"))
    except ValueError:
        return b""
