"""A stream of items as Arrow: a row each, its vector or its encoded image as it is."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
from numpy.typing import NDArray

from service.errors import ServiceError
from service.inference.results import Failed
from service.inputs.arrow_messages import Kind, Message, Messages
from service.inputs.image_buffer import image_too_large
from service.inputs.json_text import read_json
from service.inputs.stream import BareVector, StreamLimits, StreamParser, damaged_stream, too_many_items

COLUMNS = ("id", "vector", "image", "metadata")

# Rows of a few bytes each become objects of some hundred.
_MOST_ROWS = 2**16
_END = b"\xff\xff\xff\xff\x00\x00\x00\x00"

Content = bytes | BareVector | Failed


class ArrowParser(StreamParser):
    """Columns `id`, `vector` or `image`, and `metadata`; a row that has neither of the two fails alone.

    `vector` is a list of floats of any kind, `image` is binary, and `metadata` a struct of plain values or
    the text of a JSON object. `id` and `metadata` may be left out.
    """

    def __init__(self, limits: StreamLimits) -> None:
        super().__init__(limits)
        self._messages = Messages(limits.batch_bytes)
        # The schema and the dictionaries, with which every batch is read.
        self._head = b""
        self._rows = 0

    def feed(self, data: bytes) -> None:
        for message in self._messages.feed(data):
            self._read(message)

    def finish(self) -> None:
        self._messages.finish()

    def _read(self, message: Message) -> None:
        if message.kind is Kind.BATCH and self._head:
            with _damage_named():
                batch = _opened(self._head + message.data + _END).read_next_batch()
                # What a sender claims of its buffers is not true until it was looked at.
                batch.validate(full=True)
                self._add_rows(batch)
            return
        if (message.kind is Kind.SCHEMA) == bool(self._head):
            raise damaged_stream("The Arrow stream does not begin with its schema, or has several.")
        self._head += message.data
        if len(self._head) > self._limits.batch_bytes:
            raise damaged_stream(
                f"The dictionaries of the Arrow stream have more than {self._limits.batch_bytes:,} bytes. "
                "Write columns without dictionaries."
            )
        if message.kind is Kind.SCHEMA:
            with _damage_named():
                _check(_opened(self._head + _END).schema)

    def _add_rows(self, batch: pa.RecordBatch) -> None:
        if batch.num_rows > _MOST_ROWS:
            raise damaged_stream(
                f"A record batch has {batch.num_rows:,} rows, the limit is {_MOST_ROWS:,}. Write smaller "
                "ones, as by write_table(table, max_chunksize=4096)."
            )
        if self._count + batch.num_rows > self._limits.items:
            raise too_many_items(self._limits.items)
        columns: dict[str, Sequence[Any]] = {name: [None] * batch.num_rows for name in COLUMNS}
        for name in batch.schema.names:
            read = _vectors if name == "vector" else _values
            columns[name] = read(batch.column(name))
        for item_id, vector, image, text in zip(*columns.values(), strict=True):
            self._rows += 1
            content: Content = self._content(vector, image)
            value: object = text
            if isinstance(text, str):
                try:
                    value = read_json(text)
                except ValueError as error:
                    content = self._invalid(f"has metadata that are not JSON ({error})")
            self._add(item_id, content, value)

    def _content(self, vector: NDArray[Any] | None, image: bytes | None) -> Content:
        if (vector is None) == (image is None):
            return self._invalid("must have one of image and vector")
        if image is None:
            return BareVector(vector)
        if len(image) > self._limits.image_bytes:
            where = f"is in row {self._rows}, which has {len(image):,} bytes"
            return image_too_large(where, self._limits.image_bytes)
        return image

    def _invalid(self, reason: str) -> Failed:
        return Failed("invalid_line", f"Row {self._rows} {reason}.")


@contextmanager
def _damage_named() -> Iterator[None]:
    """Say of what PyArrow raises that the stream is damaged."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).strip().split("\n", 1)[0].rstrip(".")
        raise damaged_stream(f"The Arrow stream cannot be read ({reason}).") from error


def _opened(data: bytes) -> pa.RecordBatchStreamReader:
    return pa.ipc.open_stream(pa.BufferReader(data))


def _check(schema: pa.Schema) -> None:
    """Refuse columns of other names and types.

    Raises:
        ServiceError: 422 `invalid_columns`.
    """
    for name, kind in zip(schema.names, schema.types, strict=True):
        if name not in COLUMNS:
            raise _refused(f"The Arrow stream has a column {name[:40]!a}. Known are {', '.join(COLUMNS)}.")
        if pa.types.is_dictionary(kind) and name != "vector":
            kind = kind.value_type
        if not _TYPES[name](kind):
            raise _refused(f"The column {name} has the type {str(kind)[:40]}. It must be {_EXPECTED[name]}.")
    if len(set(schema.names)) < len(schema.names):
        raise _refused("The Arrow stream has two columns of one name. Name each once.")
    if not {"vector", "image"} & set(schema.names):
        raise _refused("The Arrow stream has no column vector and none called image. Send one of the two.")


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_vector(kind: Any) -> bool:
    types = pa.types
    if not (types.is_fixed_size_list(kind) or types.is_list(kind) or types.is_large_list(kind)):
        return False
    if not types.is_floating(kind.value_type):
        return False
    # Of vectors without numbers any number takes no room.
    return not pa.types.is_fixed_size_list(kind) or kind.list_size > 0


def _is_image(kind: Any) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _is_plain_struct(kind: Any) -> bool:
    """Tell whether the values of a struct take the room that they have in the batch, or nearly so.

    A list may hold a billion of what takes no room, such as null; dictionaries and runs repeat their values.
    """
    return bool(pa.types.is_struct(kind)) and all(_is_plain(member.type) for member in kind)


def _is_plain(kind: Any) -> bool:
    types = pa.types
    if types.is_boolean(kind) or types.is_integer(kind) or types.is_float32(kind) or types.is_float64(kind):
        return True
    return _is_text(kind) or bool(types.is_null(kind)) or _is_plain_struct(kind)


_TYPES: dict[str, Callable[[Any], bool]] = {
    "id": _is_text,
    "vector": _is_vector,
    "image": _is_image,
    "metadata": lambda kind: _is_text(kind) or _is_plain_struct(kind),
}
_EXPECTED = {
    "id": "string",
    "vector": "a list of float32, float64 or float16",
    "image": "binary",
    "metadata": "a struct of strings, numbers and booleans, or the string of a JSON object",
}


def _values(column: Any) -> list[Any]:
    """Return each row's value; rows share those of a dictionary, as copies would have no bound."""
    if not pa.types.is_dictionary(column.type):
        return list(column.to_pylist())
    values = column.dictionary.to_pylist()
    return [None if place is None else values[place] for place in column.indices.to_pylist()]


def _vectors(column: Any) -> list[NDArray[Any] | None]:
    """Return each row's numbers, which lie side by side in the batch; None for a row without."""
    numbers = column.values.to_numpy(zero_copy_only=False)
    if pa.types.is_fixed_size_list(column.type):
        size = column.type.list_size
        starts = [size * (column.offset + row) for row in range(len(column))]
        ends = [start + size for start in starts]
    else:
        *starts, _ = offsets = column.offsets.to_pylist()
        ends = offsets[1:]
    missing = column.is_null().to_pylist()
    return [
        None if none else numbers[start:end] for none, start, end in zip(missing, starts, ends, strict=True)
    ]


def _refused(message: str) -> ServiceError:
    return ServiceError(422, "invalid_columns", message)
