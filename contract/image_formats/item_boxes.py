"""Boxes of AVIF and HEIC up to the items of which the shown image is made (ISO/IEC 23008-12 and 14496-12).

Nothing is decoded here. What the decoders would spend is held against the size that the header announces.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from contract.image_formats.failures import corrupt, truncated, unsupported_variant

_FULL_BOX_BYTES = 4
# Each box, entry and reference costs a step of the interpreter; a photograph in 200 tiles has some 2,000.
_MOST_STEPS = 2**14
_MOST_ITEMS = 1000
_NO_ITEM = -1
_MOST_EXTENTS = 32
_MOST_DEPTH = 4
_IN_FILE, _IN_ITEM_DATA = 0, 1
_DERIVED = (b"grid", b"iden")
_METADATA = (b"Exif", b"mime", b"uri ")
_UNKNOWN = b"skip"
# Tiles may reach beyond a small image.
_SPARE_PIXELS = 2**22


@dataclass(slots=True)
class BoxedItem:
    """One coded image, or a rule that puts others together.

    Attributes:
        kind: four letters, such as `hvc1` or `grid`.
        size: (width, height) of its pixels; None where none is stated.
        extents: (start, stop) of its content in the file.
        sources: ids of the items that it is made of.
    """

    kind: bytes = b""
    size: tuple[int, int] | None = None
    extents: list[tuple[int, int]] = field(default_factory=list)
    sources: list[int] = field(default_factory=list)


def brands(data: bytes) -> frozenset[bytes]:
    """Return the brands of a file that begins with the box `ftyp`; none otherwise."""
    if data[4:8] != b"ftyp":
        return frozenset()
    listed = data[16 : min(int.from_bytes(data[:4], "big"), 256)]
    return frozenset({data[8:12], *(listed[at : at + 4] for at in range(0, len(listed), 4))})


def most_pixels(shown: int) -> int:
    """Return how many pixels may be decoded for so many that are shown."""
    return max(4 * shown, shown + _SPARE_PIXELS)


class ItemBoxes:
    """Items of one file.

    Args:
        data: the whole file.
        image_format: named by errors.

    Attributes:
        width, height: of the primary image, before it is turned.
        parts: the coded images that it is made of, its transparency among them; one counts as often as it is
            used.

    Raises:
        ImageError: the boxes cannot be read, or hold no image.
    """

    def __init__(self, data: bytes, image_format: str) -> None:
        self._data, self._format = data, image_format
        self._items: dict[int, BoxedItem] = {}
        self._alpha_of: dict[int, list[int]] = {}
        self._item_data = (0, 0)
        self._metadata_at: list[int] = []
        self._steps = 0
        self._stops_early = False
        try:
            number = self._read_meta()
        except (struct.error, IndexError) as error:
            raise corrupt(image_format, "one of its boxes is too short") from error
        primary = self._items.get(number)
        if primary is None and self._stops_early:
            raise truncated(image_format, "the file stops before what describes its image")
        if primary is None:
            raise unsupported_variant(
                image_format, "it holds no still image", "Save one frame as a still image."
            )
        self.width, self.height = primary.size or (0, 0)
        self.parts = self._found_parts(number)

    def content(self, item: BoxedItem) -> bytes:
        """Return the coded bytes of an item."""
        return b"".join(self._data[start:stop] for start, stop in item.extents)

    def check_parts(self, kinds: tuple[bytes, ...]) -> None:
        """Hold what would be decoded against what is shown.

        Raises:
            ImageError: a part is of another kind, or the parts hold many more pixels than the image.
        """
        for part in self.parts:
            if part.kind not in kinds:
                raise unsupported_variant(
                    self._format,
                    f"a part of its image is of the kind {part.kind!a}",
                    "Save it as JPEG or PNG.",
                )
        pixels = sum(part.size[0] * part.size[1] for part in self.parts if part.size)
        if pixels > most_pixels(self.width * self.height):
            raise corrupt(
                self._format,
                f"its parts have {pixels:,} pixels, and its header says {self.width} x {self.height}",
            )

    def for_decoder(self, brand: bytes | None = None) -> bytes:
        """Return the file with its metadata hidden, which no pixel depends on.

        Args:
            brand: main brand to be written.
        """
        file = bytearray(self._data)
        if brand is not None:
            file[8:12] = brand
        for at in self._metadata_at:
            file[at : at + 4] = _UNKNOWN
        return bytes(file)

    def _found_parts(self, primary: int) -> list[BoxedItem]:
        parts = list(self._leaves(primary, 0))
        for alpha in self._alpha_of.get(primary, ()):
            parts += self._leaves(alpha, 0)
        if len(parts) > _MOST_ITEMS:
            raise corrupt(self._format, f"it is put together of {len(parts):,} parts")
        for part in parts:
            missing = max((stop for _, stop in part.extents), default=0) - len(self._data)
            if missing > 0:
                raise truncated(self._format, f"{missing:,} of the announced bytes are missing")
        return parts

    def _leaves(self, number: int, depth: int) -> Iterator[BoxedItem]:
        item = self._items.get(number)
        self._spend()
        if item is None or depth > _MOST_DEPTH:
            raise corrupt(self._format, f"a part of its image is missing (item {number})")
        if item.kind not in _DERIVED:
            yield item
            return
        for source in item.sources:
            yield from self._leaves(source, depth + 1)

    def _read_meta(self) -> int:
        """Read all items; return the number of the primary one, and -1 for none."""
        top = {name: (at, end) for name, at, end in self._boxes(0, len(self._data), top=True)}
        if b"meta" not in top:
            return _NO_ITEM
        start, stop = top[b"meta"]
        boxes = {name: (at, end) for name, at, end in self._boxes(start + _FULL_BOX_BYTES, stop)}
        self._item_data = boxes.get(b"idat", (0, 0))
        for name, read in (
            (b"iinf", self._read_kinds),
            (b"iloc", self._read_places),
            (b"iref", self._read_references),
            (b"iprp", self._read_properties),
        ):
            if name in boxes:
                read(*boxes[name])
        if b"pitm" not in boxes:
            return _NO_ITEM
        at, _ = boxes[b"pitm"]
        return self._number(at + _FULL_BOX_BYTES, 4 if self._data[at] else 2)

    def _read_kinds(self, start: int, stop: int) -> None:
        at = start + _FULL_BOX_BYTES + (4 if self._data[start] else 2)
        for name, place, end in self._boxes(at, stop):
            version = self._data[place]
            if name != b"infe" or version < 2:
                continue
            width = 2 if version == 2 else 4
            number = self._number(place + _FULL_BOX_BYTES, width)
            # Behind the id and two bytes of its protection.
            kind = place + _FULL_BOX_BYTES + width + 2
            self._item(number).kind = self._data[kind : min(kind + 4, end)]
            if self._item(number).kind in _METADATA:
                self._metadata_at.append(kind)

    def _read_places(self, start: int, stop: int) -> None:
        version = self._data[start]
        (sizes,) = struct.unpack_from(">H", self._data, start + _FULL_BOX_BYTES)
        offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
        index_size = sizes & 15 if version else 0
        id_size = 4 if version > 1 else 2
        reader = _BoxReader(self._data, start + _FULL_BOX_BYTES + 2, stop)
        for _ in range(reader.integer(id_size)):
            self._spend()
            item = self._item(reader.integer(id_size))
            method = reader.integer(2) & 15 if version else _IN_FILE
            reader.integer(2)
            base = reader.integer(base_size)
            count = reader.integer(2)
            if count > _MOST_EXTENTS or method not in (_IN_FILE, _IN_ITEM_DATA):
                raise corrupt(self._format, f"an item lies in {count:,} places by the method {method}")
            if method == _IN_ITEM_DATA:
                base += self._item_data[0]
            for _ in range(count):
                reader.integer(index_size)
                place, length = base + reader.integer(offset_size), reader.integer(length_size)
                item.extents.append((place, place + length if length else len(self._data)))

    def _read_references(self, start: int, stop: int) -> None:
        width = 4 if self._data[start] else 2
        for name, at, end in self._boxes(start + _FULL_BOX_BYTES, stop):
            reader = _BoxReader(self._data, at, end)
            number, count = reader.integer(width), reader.integer(2)
            self._spend(count)
            targets = [reader.integer(width) for _ in range(count)]
            if name == b"dimg":
                self._item(number).sources = targets
            elif name == b"auxl":
                for target in targets:
                    self._alpha_of.setdefault(target, []).append(number)

    def _read_properties(self, start: int, stop: int) -> None:
        sizes: list[tuple[int, int] | None] = [None]
        for name, at, end in self._boxes(start, stop):
            if name == b"ipco":
                for kind, place, _ in self._boxes(at, end):
                    stated = struct.unpack_from(">II", self._data, place + 4) if kind == b"ispe" else None
                    sizes.append(stated)
            elif name == b"ipma":
                self._read_associations(at, end, sizes)

    def _read_associations(self, start: int, stop: int, sizes: list[tuple[int, int] | None]) -> None:
        id_size = 4 if self._data[start] else 2
        index_size = 2 if self._data[start + 3] & 1 else 1
        reader = _BoxReader(self._data, start + _FULL_BOX_BYTES, stop)
        for _ in range(reader.integer(4)):
            item = self._item(reader.integer(id_size))
            count = reader.integer(1)
            self._spend(count + 1)
            for _ in range(count):
                # The highest bit says that a reader has to know the property.
                index = reader.integer(index_size) & (0x7FFF if index_size == 2 else 0x7F)
                if index < len(sizes) and sizes[index] is not None and item.size is None:
                    item.size = sizes[index]

    def _item(self, number: int) -> BoxedItem:
        if len(self._items) > _MOST_ITEMS:
            raise corrupt(self._format, f"it lists more than {_MOST_ITEMS:,} items")
        return self._items.setdefault(number, BoxedItem())

    def _number(self, at: int, width: int) -> int:
        return int.from_bytes(self._data[at : at + width], "big")

    def _boxes(self, start: int, stop: int, *, top: bool = False) -> Iterator[tuple[bytes, int, int]]:
        """Yield name, start and end of the content of each box."""
        data, at = self._data, start
        while at + 8 <= stop:
            self._spend()
            length, name = struct.unpack_from(">I4s", data, at)
            content = at + 8
            if length == 1:
                (length,) = struct.unpack_from(">Q", data, content)
                content += 8
            end = stop if length == 0 else at + length
            if end > stop and top and name != b"meta":
                # Only its end is missing; what the image needs is looked for in the file.
                self._stops_early, end = True, stop
            if end > stop:
                raise truncated(self._format, f"the file stops within its box {name!a}")
            if end < content:
                raise corrupt(self._format, f"its box {name!a} is shorter than its own head")
            yield name, content, end
            at = end

    def _spend(self, steps: int = 1) -> None:
        self._steps += steps
        if self._steps > _MOST_STEPS:
            raise corrupt(self._format, f"its boxes have more than {_MOST_STEPS:,} entries")


class _BoxReader:
    """Whole numbers one after the other, up to the end of a box."""

    def __init__(self, data: bytes, at: int, stop: int) -> None:
        self._data, self._at, self._stop = data, at, stop

    def integer(self, width: int) -> int:
        """Read a number of that many bytes; of none, it is 0."""
        at, self._at = self._at, self._at + width
        if self._at > self._stop:
            raise struct.error("beyond the end of the box")
        return int.from_bytes(self._data[at : self._at], "big")
