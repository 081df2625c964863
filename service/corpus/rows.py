"""Rows of the output: one for each image, whether it was embedded or failed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from service.inference.results import Failed
from service.outputs.arrays import MODEL_KEY


@dataclass(frozen=True, slots=True)
class CorpusRow:
    """One image.

    Attributes:
        id, path, label: as of `CorpusImage`.
        bytes: size of the encoded image; None if it cannot be read.
        outcome: float32 [D], or why there is none.
        width, height: of the image in pixels, upright; None if it failed, or if a service embedded it.
    """

    id: str
    path: str
    label: str | None
    bytes: int | None
    outcome: NDArray[np.float32] | Failed
    width: int | None = None
    height: int | None = None


def schema_of(dimensions: int, model: str) -> pa.Schema:
    """Make the schema; its metadata names the model."""
    fields: list[pa.Field[pa.DataType]] = [
        pa.field("id", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("label", pa.string()),
        pa.field("bytes", pa.int64()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("embedding", pa.list_(pa.float32(), dimensions)),
        pa.field("error_code", pa.string()),
        pa.field("error_message", pa.string()),
    ]
    return pa.schema(fields, metadata={MODEL_KEY: model.encode()})


def batch_of(rows: Sequence[CorpusRow], schema: pa.Schema) -> pa.RecordBatch:
    """Gather rows as a record batch."""
    failures = [row.outcome if isinstance(row.outcome, Failed) else None for row in rows]
    columns: list[pa.Array[Any]] = [
        pa.array([row.id for row in rows], pa.string()),
        pa.array([row.path for row in rows], pa.string()),
        pa.array([row.label for row in rows], pa.string()),
        pa.array([row.bytes for row in rows], pa.int64()),
        pa.array([row.width for row in rows], pa.int32()),
        pa.array([row.height for row in rows], pa.int32()),
        _embeddings(rows, schema.field("embedding").type.list_size),
        pa.array([None if one is None else one.code for one in failures], pa.string()),
        pa.array([None if one is None else one.message for one in failures], pa.string()),
    ]
    return pa.record_batch(columns, schema=schema)


def rows_of(table: pa.Table) -> Iterator[CorpusRow]:
    """Yield the rows of a table that `batch_of` made the batches of."""
    for batch in table.to_batches():
        embeddings: Any = batch["embedding"]
        size = embeddings.type.list_size
        flat = embeddings.values.slice(embeddings.offset * size, len(embeddings) * size)
        values: NDArray[np.float32] = flat.to_numpy(zero_copy_only=False).reshape(-1, size)
        rest = batch.drop_columns(["embedding"]).to_pylist()
        for place, row in enumerate(rest):
            code, message = row.pop("error_code"), row.pop("error_message")
            yield CorpusRow(**row, outcome=values[place] if code is None else Failed(code, message))


def _embeddings(rows: Sequence[CorpusRow], dimensions: int) -> "pa.Array[Any]":
    values = np.zeros((len(rows), dimensions), np.float32)
    missing = np.zeros(len(rows), np.bool_)
    for place, row in enumerate(rows):
        if isinstance(row.outcome, Failed):
            missing[place] = True
        else:
            values[place] = row.outcome
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), dimensions, mask=pa.array(missing))
