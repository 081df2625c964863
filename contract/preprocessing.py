"""Rule that turns encoded bytes into a model's input pixels, as a hashed record.

Training, the offline tools and the service all run `contract.images.decode` with this record. An index
stores its hash, so vectors of different rules are never compared by accident.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

ResizeRule = Literal["stretch", "center_crop", "letterbox"]
ColorProfile = Literal["ignore", "srgb"]

# Records of "pillow-1" have "fit" instead of these.
_SINCE_PILLOW_2: Mapping[str, str] = {"resize_rule": "stretch", "color_profile": "ignore"}


class Preprocessing(BaseModel):
    """How an image becomes uint8 [height, width, 3].

    A record of "pillow-1" always stretches and ignores colour profiles. It is read and written as it is, to
    the byte, since cards carry its hash. Where `decoder` is not given, it is the oldest that knows the rule.

    Attributes:
        decoder: name and version of the decoding rule in `contract.images`.
        height, width: size of the model's input in pixels.
        resize_rule: `stretch` scales each axis on its own, so that every original pixel lies in some patch.
            `center_crop` scales both alike until the shorter side fits, and cuts the middle out of the
            longer one. `letterbox` scales both alike until the longer side fits; `background` fills the rest.
        color_profile: whether colours are converted from the embedded ICC profile to sRGB.
        resize_filter: Pillow's antialiased bilinear filter (not equal to one without antialiasing).
        background: RGB colour under transparent pixels and around a letterboxed image.
        exif_orientation: whether the EXIF orientation is applied before anything else.
        draft_factor: a JPEG is decoded at a reduced DCT scale. The part that is seen keeps, along each side,
            at least this many times the pixels that it fills; 0 always decodes in full.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    decoder: Literal["pillow-1", "pillow-2"] = "pillow-1"
    height: int = Field(ge=8, le=1024)
    width: int = Field(ge=8, le=1024)
    resize_rule: ResizeRule = "stretch"
    color_profile: ColorProfile = "ignore"
    resize_filter: Literal["bilinear"] = "bilinear"
    background: tuple[int, int, int] = (255, 255, 255)
    exif_orientation: Literal[True] = True
    draft_factor: int = Field(default=2, ge=0, le=8)

    @model_validator(mode="before")
    @classmethod
    def _of_its_decoder(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        fields = dict(given)
        if "decoder" not in fields:
            stated = {name: fields.get(name, default) for name, default in _SINCE_PILLOW_2.items()}
            return {"decoder": "pillow-1" if stated == _SINCE_PILLOW_2 else "pillow-2", **fields}
        if fields["decoder"] == "pillow-1":
            for name in _SINCE_PILLOW_2:
                if name in fields:
                    raise ValueError(f"a record of pillow-1 has no {name}")
            if (fit := fields.pop("fit", "stretch")) != "stretch":
                raise ValueError(f"fit is {fit!r}, and pillow-1 knows 'stretch' alone")
        return fields

    @model_serializer(mode="wrap")
    def _as_its_decoder_writes(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = write(self)
        if self.decoder == "pillow-1":
            fields = {("fit" if name == "resize_rule" else name): value for name, value in fields.items()}
            del fields["color_profile"]
        return fields

    @property
    def sha256(self) -> str:
        """Hex digest of the record; equal digests mean equal pixels for equal bytes."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()
