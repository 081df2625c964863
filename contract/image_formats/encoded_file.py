"""Encoded image of any format, between its header and its pixels."""

from abc import ABC, abstractmethod
from typing import ClassVar

from PIL import Image

from contract.orientation import UPRIGHT


class EncodedFile(ABC):
    """One encoded image whose header has been read.

    Attributes:
        format: name of the format, as Pillow has it.
        width, height: of the stored pixels, before they are turned.
        orientation: 1 to 8 as EXIF counts them; known once the image is loaded, and before a reduced decode.
        icc_profile: of the colours of its pixels, empty for none; known once the image is loaded.
        draft_size: allows a smaller decode of at least this size, if the format has one. Set before `load`.
        max_scans: most passes over the image that are decoded. Set before `load`.
    """

    format: ClassVar[str]
    width: int
    height: int
    orientation: int = UPRIGHT
    icc_profile: bytes = b""
    draft_size: tuple[int, int] | None = None
    max_scans: int = 1

    @staticmethod
    @abstractmethod
    def matches(data: bytes) -> bool:
        """Tell whether the first bytes are those of this format."""

    @abstractmethod
    def __init__(self, data: bytes) -> None:
        """Read the header.

        Raises:
            ImageError: the header cannot be read, or announces what is not decoded.
        """

    @abstractmethod
    def load(self) -> Image.Image:
        """Decode the pixels.

        Raises:
            ImageError: what is wrong with the file, where this format knows it.
            Exception: of any type, from Pillow's decoders.
        """
