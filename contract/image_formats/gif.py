"""GIF, of which the first frame counts.

What stands before that frame is read here, since comments and the extensions of programs may be long, damaged
or both. Pillow is given the frame without them.
"""

import struct
from io import BytesIO

from PIL import GifImagePlugin, Image

from contract.image_formats.encoded_file import EncodedFile
from contract.image_formats.failures import corrupt, truncated

_SCREEN = struct.Struct("<6sHHBBB")
_FRAME = struct.Struct("<cHHHHB")
_TABLE_FLAG = 0x80
_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B
_GRAPHIC_CONTROL = 0xF9
# One block has up to 255 bytes; each costs a step of the interpreter.
_MOST_BLOCKS = 2**16


class GifFile(EncodedFile):
    """A GIF that has been read up to its first frame."""

    format = "GIF"

    @staticmethod
    def matches(data: bytes) -> bool:
        return data.startswith((b"GIF87a", b"GIF89a"))

    def __init__(self, data: bytes) -> None:
        self._data = data
        if len(data) < _SCREEN.size:
            raise truncated("GIF", "the file stops within its header")
        _, self.width, self.height, flags, _, _ = _SCREEN.unpack_from(data)
        if not (self.width and self.height):
            return
        self._tables_end = _SCREEN.size + (3 << (flags & 7) + 1 if flags & _TABLE_FLAG else 0)
        self._control = b""
        self._frame = self._find_frame()
        _, left, top, width, height, _ = _FRAME.unpack_from(data, self._frame)
        # A frame that reaches beyond the screen makes it larger.
        self.width, self.height = max(self.width, left + width), max(self.height, top + height)

    def load(self) -> Image.Image:
        head, frame = self._data[: self._tables_end], self._data[self._frame :]
        image = GifImagePlugin.GifImageFile(BytesIO(head + self._control + frame))
        image.load()
        return image

    def _find_frame(self) -> int:
        """Return where the first frame starts; keep the graphic control that belongs to it."""
        data, at = self._data, self._tables_end
        for _ in range(_MOST_BLOCKS):
            kind = data[at] if at < len(data) else None
            if kind is None or (kind == _IMAGE and at + _FRAME.size > len(data)):
                raise truncated("GIF", "the file stops before its first frame")
            if kind == _IMAGE:
                return at
            if kind == _TRAILER:
                raise corrupt("GIF", "it holds no frame")
            if kind != _EXTENSION:
                at += 1  # as other decoders do with padding
                continue
            stop = self._blocks_end(at + 2)
            if data[at + 1] == _GRAPHIC_CONTROL and data[at + 2] >= 4:
                self._control = data[at:stop]
            at = stop
        raise corrupt("GIF", f"it has more than {_MOST_BLOCKS:,} blocks before its first frame")

    def _blocks_end(self, at: int) -> int:
        """Return where a chain of data blocks ends."""
        for _ in range(_MOST_BLOCKS):
            if at >= len(self._data):
                raise truncated("GIF", "the file stops before its first frame")
            if not (length := self._data[at]):
                return at + 1
            at += 1 + length
        raise corrupt("GIF", f"one of its extensions has more than {_MOST_BLOCKS:,} blocks")
