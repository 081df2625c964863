"""BMP, as Windows and OS/2 write it."""

from io import BytesIO
from struct import unpack_from

from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile

from contract.errors import ImageError
from contract.image_formats.encoded_file import EncodedFile
from contract.image_formats.failures import truncated

_FILE_HEADER_BYTES = 14
_OS2_HEADER_BYTES = 12
_HEADER_BYTES = 20
_COMPRESSIONS = {
    0: "no compression",
    1: "RLE of 8 bits",
    2: "RLE of 4 bits",
    3: "bit fields",
    4: "an embedded JPEG",
    5: "an embedded PNG",
    6: "bit fields with alpha",
}


class BmpFile(EncodedFile):
    """A BMP whose header has been read."""

    format = "BMP"

    @staticmethod
    def matches(data: bytes) -> bool:
        return data.startswith(b"BM")

    def __init__(self, data: bytes) -> None:
        self._data = data
        if len(data) < _FILE_HEADER_BYTES + _HEADER_BYTES:
            raise truncated("BMP", "the file stops within its header")
        (size,) = unpack_from("<I", data, _FILE_HEADER_BYTES)
        if size == _OS2_HEADER_BYTES:
            self.width, self.height, _, bits = unpack_from("<HHHH", data, _FILE_HEADER_BYTES + 4)
            compression = 0
        else:
            fields = unpack_from("<iiHHI", data, _FILE_HEADER_BYTES + 4)
            # A height below zero says that the rows come from the top.
            self.width, self.height, _, bits, compression = fields[0], abs(fields[1]), *fields[2:]
        named = _COMPRESSIONS.get(compression, f"the unknown compression {compression}")
        self._variant = f"{bits} bits for each pixel, a header of {size:,} bytes and {named}"

    def load(self) -> Image.Image:
        try:
            image = BmpImageFile(BytesIO(self._data))
        except OSError as error:
            if not str(error).startswith("Unsupported"):
                raise
            raise ImageError(
                "unsupported_format",
                f"The BMP has {self._variant}, which is not read ({error}). "
                "Save it as PNG, or as a BMP of 24 bits.",
            ) from error
        image.load()
        return image
