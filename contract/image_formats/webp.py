"""WebP, of which the first frame counts."""

from io import BytesIO
from struct import unpack_from

from PIL import Image
from PIL.WebPImagePlugin import WebPImageFile

from contract.image_formats.encoded_file import EncodedFile
from contract.image_formats.failures import corrupt, truncated
from contract.orientation import read_orientation

_CONTAINER_BYTES = 12
# To the end of the longest header.
_HEADER_BYTES = 30
_LOSSLESS_SIGNATURE = 0x2F
_FOURTEEN_BITS = 0x3FFF


class WebpFile(EncodedFile):
    """A WebP whose first chunk has been read."""

    format = "WEBP"

    @staticmethod
    def matches(data: bytes) -> bool:
        return data.startswith(b"RIFF") and data[8:_CONTAINER_BYTES] == b"WEBP"

    def __init__(self, data: bytes) -> None:
        self._data = data
        if len(data) < _HEADER_BYTES:
            raise truncated("WEBP", "the file stops within its header")
        self.width, self.height = _size(data)

    def load(self) -> Image.Image:
        try:
            image = WebPImageFile(BytesIO(self._data))
            image.load()
        except Exception as error:
            (announced,) = unpack_from("<I", self._data, 4)
            missing = announced + 8 - len(self._data)
            if missing > 0:
                raise truncated("WEBP", f"{missing:,} of the announced bytes are missing") from error
            raise
        self.orientation = read_orientation(image.info.get("exif", b""), image.info.get("xmp", b""))
        self.icc_profile = image.info.get("icc_profile") or b""
        return image


def _size(data: bytes) -> tuple[int, int]:
    """Return width and height of the canvas (RFC 9649)."""
    kind = data[_CONTAINER_BYTES : _CONTAINER_BYTES + 4]
    if kind == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
        return width, height
    if kind == b"VP8L" and data[20] == _LOSSLESS_SIGNATURE:
        (bits,) = unpack_from("<I", data, 21)
        return (bits & _FOURTEEN_BITS) + 1, (bits >> 14 & _FOURTEEN_BITS) + 1
    if kind == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        width, height = (side & _FOURTEEN_BITS for side in unpack_from("<HH", data, 26))
        return width, height
    raise corrupt("WEBP", f"its first chunk ({kind!a}) does not begin an image")
