"""HEIC, as phones write it: HEVC within boxes, often in tiles. The primary image counts."""

import pillow_heif
from PIL import Image

from contract.errors import ImageError
from contract.image_formats.encoded_file import EncodedFile
from contract.image_formats.failures import undecodable, unsupported_variant
from contract.image_formats.item_boxes import ItemBoxes, brands

_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1"))
_HEVC = (b"hvc1", b"hev1")
_UNSUPPORTED = ("unsupported codec", "unsupported feature", "unsupported color conversion")

# Images are decoded side by side, each by one thread; what lies beside the image is not looked at.
pillow_heif.options.DECODE_THREADS = 1
pillow_heif.options.THUMBNAILS = False
pillow_heif.options.DEPTH_IMAGES = False
pillow_heif.options.AUX_IMAGES = False


class HeicFile(EncodedFile):
    """A HEIC whose boxes have been read."""

    format = "HEIC"

    @staticmethod
    def matches(data: bytes) -> bool:
        return bool(brands(data) & _BRANDS)

    def __init__(self, data: bytes) -> None:
        self._boxes = ItemBoxes(data, "HEIC")
        self.width, self.height = self._boxes.width, self._boxes.height

    def load(self) -> Image.Image:
        self._boxes.check_parts(_HEVC)
        try:
            # libheif holds the size of every HEVC frame against that of its item.
            image = pillow_heif.open_heif(self._boxes.for_decoder()).to_pillow()
        except Exception as error:
            raise _translated(error) from error
        self.icc_profile = image.info.get("icc_profile") or b""
        # libheif has cut, turned and mirrored it as its boxes say.
        self.width, self.height = image.size
        return image


def _translated(error: Exception) -> ImageError:
    if any(reason in str(error).lower() for reason in _UNSUPPORTED):
        return unsupported_variant("HEIC", str(error).strip().rstrip("."), "Save it as JPEG.")
    return undecodable("HEIC", error)
