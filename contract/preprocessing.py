"""The rule that turns encoded bytes into a model's input pixels, as a hashed record.

Training, the offline tools and the service all run `contract.images.decode` with this record. An index
stores its hash, so vectors made by different rules are never compared by accident.
"""

import hashlib
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Preprocessing(BaseModel):
    """How an image becomes uint8 [height, width, 3].

    Attributes:
        decoder: name and version of the decoding rule in `contract.images`.
        height, width: size of the model's input in pixels.
        fit: `stretch` scales each axis on its own, so that every original pixel lies in some patch.
        resize_filter: Pillow's antialiased bilinear filter (not equal to one without antialiasing).
        background: RGB colour under transparent pixels.
        exif_orientation: whether the EXIF orientation is applied before anything else.
        draft_factor: a JPEG is decoded at a reduced DCT scale as long as both sides stay at least this
            many times the input size; 0 always decodes in full.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    decoder: Literal["pillow-1"] = "pillow-1"
    height: int = Field(ge=8, le=1024)
    width: int = Field(ge=8, le=1024)
    fit: Literal["stretch"] = "stretch"
    resize_filter: Literal["bilinear"] = "bilinear"
    background: tuple[int, int, int] = (255, 255, 255)
    exif_orientation: Literal[True] = True
    draft_factor: int = Field(default=2, ge=0, le=8)

    @property
    def sha256(self) -> str:
        """Hex digest of the record; equal digests mean equal pixels for equal bytes."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()
