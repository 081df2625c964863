"""AVIF, of which the primary image counts."""

from io import BytesIO

from PIL import AvifImagePlugin, Image

from contract.image_formats.av1_sequence import largest_frame
from contract.image_formats.encoded_file import EncodedFile
from contract.image_formats.failures import corrupt
from contract.image_formats.item_boxes import ItemBoxes, brands, most_pixels
from contract.orientation import read_orientation

_BRANDS = frozenset((b"avif", b"avis"))

# Images are decoded side by side, each by one thread.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1


class AvifFile(EncodedFile):
    """An AVIF whose boxes have been read."""

    format = "AVIF"

    @staticmethod
    def matches(data: bytes) -> bool:
        return bool(brands(data) & _BRANDS)

    def __init__(self, data: bytes) -> None:
        self._boxes = ItemBoxes(data, "AVIF")
        self.width, self.height = self._boxes.width, self._boxes.height

    def load(self) -> Image.Image:
        boxes = self._boxes
        boxes.check_parts((b"av01",))
        for part in boxes.parts:
            width, height = part.size or (0, 0)
            frame = largest_frame(boxes.content(part), alone=len(boxes.parts) <= 2)
            if frame > most_pixels(width * height):
                raise corrupt("AVIF", f"a frame has {frame:,} pixels, and its header says {width} x {height}")
        # By this main brand, the primary image is decoded and not the first frame of an animation beside it.
        image = AvifImagePlugin.AvifImageFile(BytesIO(boxes.for_decoder(brand=b"avif")))
        image.load()
        # Made by Pillow of what the boxes say, which counts where EXIF says otherwise.
        self.orientation = read_orientation(image.info.get("exif", b""))
        self.icc_profile = image.info.get("icc_profile") or b""
        return image
