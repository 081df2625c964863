"""Items as rows of a Parquet file: its columns, and what its vectors were made by."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from service.errors import ServiceError
from service.index.items import NewItem, check_id, check_object
from service.index.space import ModelIdentity
from service.index_jobs.access import IndexJobError

_FORM = "1"
_FORM_KEY = b"infomax.index"
_MODEL_KEY = b"infomax.model"
_PREPROCESSING_KEY = b"infomax.preprocessing_sha256"
_ENCODER_KEY = b"infomax.encoder_sha256"
# What single precision leaves of a length of one.
_LENGTH_TOLERANCE = 1e-3


def schema_of(identity: ModelIdentity) -> pa.Schema:
    """Make the schema; its metadata says what made the vectors."""
    fields: list[pa.Field[Any]] = [
        pa.field("id", pa.string(), nullable=False),
        pa.field("vector", pa.list_(pa.float32(), identity.dimensions), nullable=False),
        pa.field("metadata", pa.string(), nullable=False),
        pa.field("code", pa.list_(pa.float32())),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("format", pa.string()),
        pa.field("thumbnail", pa.binary()),
        pa.field("original", pa.binary()),
        pa.field("original_sha256", pa.binary()),
        pa.field("updated", pa.timestamp("us", "UTC"), nullable=False),
    ]
    metadata: dict[bytes | str, bytes | str] = {
        _FORM_KEY: _FORM.encode(),
        _MODEL_KEY: identity.model.encode(),
        _PREPROCESSING_KEY: identity.preprocessing_sha256.encode(),
        _ENCODER_KEY: identity.encoder_sha256.encode(),
    }
    return pa.schema(fields, metadata=metadata)


def identity_in(schema: pa.Schema, source: str) -> ModelIdentity:
    """Read what made the vectors of a file.

    Raises:
        IndexJobError: the file is not an export of an index, or one of a later Infomax.
    """
    values: Mapping[bytes, bytes] = schema.metadata or {}
    form = values.get(_FORM_KEY)
    if form is None or not {_MODEL_KEY, _PREPROCESSING_KEY, _ENCODER_KEY} <= values.keys():
        raise IndexJobError(
            f"{source} does not say what made its vectors. Name a file of `infomax index export`."
        )
    if form.decode() != _FORM:
        raise IndexJobError(
            f"{source} is of form {form.decode(errors='replace')}, and this Infomax reads form {_FORM}. "
            "Import it with the version that wrote it, or a later one."
        )
    identity = ModelIdentity(
        values[_MODEL_KEY].decode(),
        values[_PREPROCESSING_KEY].decode(),
        values[_ENCODER_KEY].decode(),
        _dimensions(schema, source),
    )
    expected = schema_of(identity)
    for field in expected:
        place = schema.get_field_index(field.name)
        if place < 0 or schema.field(place).type != field.type:
            raise IndexJobError(f"{source} has no column {field.name} of {field.type}. Export it again.")
    return identity


def batch_of(items: Sequence[NewItem], schema: pa.Schema) -> pa.RecordBatch:
    """Gather items as a record batch."""
    values = np.concatenate([item.vector for item in items]).astype(np.float32, copy=False)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(values), schema.field("vector").type.list_size)
    columns: list[pa.Array[Any]] = []
    for field in schema:
        if field.name == "vector":
            columns.append(vectors)
        elif field.name == "metadata":
            texts = [orjson.dumps(item.metadata).decode() for item in items]
            columns.append(pa.array(texts, field.type))
        else:
            columns.append(pa.array([getattr(item, field.name) for item in items], field.type))
    return pa.record_batch(columns, schema=schema)


def items_of(batch: pa.RecordBatch, first_row: int, source: str) -> Iterator[NewItem]:
    """Read items, and check what a client's items are checked for.

    Raises:
        IndexJobError: a row breaks a rule; it is named by its number in the file, from 1.
    """
    dimensions = batch.schema.field("vector").type.list_size
    column = batch.column("vector")
    vectors: NDArray[np.float32] = pc.list_flatten(column).to_numpy().reshape(-1, dimensions)
    _check_vectors(vectors, column.null_count, first_row, source)
    _check_times(batch.column("updated").null_count, first_row, source)
    rest = batch.drop_columns(["vector"]).to_pylist()
    for place, (vector, row) in enumerate(zip(vectors, rest, strict=True)):
        try:
            item_id = check_id(row["id"])
            metadata = check_object(orjson.loads(row["metadata"] or "{}"))
        except (ServiceError, orjson.JSONDecodeError) as error:
            raise IndexJobError(f"Row {first_row + place} of {source} cannot be stored. {error}") from error
        code = None if row["code"] is None else np.array(row["code"], np.float32)
        others = {name: row[name] for name in ("thumbnail", "original", "original_sha256", "updated")}
        size = (row["width"], row["height"], row["format"])
        yield NewItem(item_id, vector, metadata, code, *size, **others)


def _check_times(nulls: int, first_row: int, source: str) -> None:
    if nulls:
        raise IndexJobError(f"{source} has rows without a time, from row {first_row} on. Export it again.")


def _check_vectors(vectors: NDArray[np.float32], nulls: int, first_row: int, source: str) -> None:
    """Refuse what is not of length one: it is stored bit by bit, so that scores stay the same."""
    if nulls:
        raise IndexJobError(f"{source} has rows without a vector, from row {first_row} on. Export it again.")
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
    wrong = np.flatnonzero(~(np.abs(lengths - 1) <= _LENGTH_TOLERANCE))
    if len(wrong):
        place = int(wrong[0])
        raise IndexJobError(
            f"Row {first_row + place} of {source} has a vector of length {lengths[place]:g}. "
            "Vectors of an export have length 1: export it again."
        )


def _dimensions(schema: pa.Schema, source: str) -> int:
    place = schema.get_field_index("vector")
    kind = None if place < 0 else schema.field(place).type
    if kind is None or not pa.types.is_fixed_size_list(kind):
        raise IndexJobError(f"{source} has no column vector of float32 lists of one length. Export it again.")
    return int(kind.list_size)
