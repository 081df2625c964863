"""Results of a batch as NumPy, Arrow or pandas."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from infomax.client.results import BatchResult, ImageFailure, ImageResult

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS = 8192


def to_numpy(results: Iterable[BatchResult]) -> tuple[list[str], NDArray[np.float32], list[ImageFailure]]:
    """Gather results: the ids of the images that were embedded, their vectors [N, D], and the failures."""
    ids: list[str] = []
    vectors: list[NDArray[np.float32]] = []
    failures: list[ImageFailure] = []
    for one in results:
        if isinstance(one, ImageFailure):
            failures.append(one)
        elif one.embedding is None:
            raise ValueError("The results hold no embeddings. Ask for them: outputs=('embedding',).")
        else:
            ids.append(one.id)
            vectors.append(one.embedding)
    return ids, np.stack(vectors) if vectors else np.empty((0, 0), np.float32), failures


def to_arrow(results: Iterable[BatchResult]) -> "pa.Table":
    """Gather results in a table with the columns of `to_record_batches`; needs pyarrow."""
    import pyarrow as pa

    batches = [*to_record_batches(results)]
    return pa.Table.from_batches(batches) if batches else pa.table({})


def to_pandas(results: Iterable[BatchResult]) -> Any:
    """Gather results in a `pandas.DataFrame` with the columns of `to_record_batches`; needs pandas."""
    import pandas as pd

    return pd.DataFrame(map(_row, results))


def to_record_batches(results: Iterable[BatchResult], rows: int = _ROWS) -> "Iterator[pa.RecordBatch]":
    """Yield results as Arrow record batches of at most so many rows; needs pyarrow.

    Columns: `index` int64, `id` string, `embedding` fixed_size_list<float32>[D], `error_code` and
    `error_message` string. A failure has no embedding.
    """
    import pyarrow as pa

    rest = iter(results)
    schema: pa.Schema | None = None
    while part := [*islice(rest, rows)]:
        if schema is None:
            while (found := _dimensions(part)) is None and (more := [*islice(rest, rows)]):
                part += more
            schema = _schema(found or 0)
        yield pa.RecordBatch.from_pylist([_row(one) for one in part], schema)


def _dimensions(results: list[BatchResult]) -> int | None:
    sizes = (
        one.embedding.size for one in results if isinstance(one, ImageResult) and one.embedding is not None
    )
    return next(sizes, None)


def _schema(dimensions: int) -> "pa.Schema":
    import pyarrow as pa

    fields: list[pa.Field[Any]] = [
        pa.field("index", pa.int64()),
        pa.field("id", pa.string()),
        pa.field("embedding", pa.list_(pa.float32(), dimensions)),
        pa.field("error_code", pa.string()),
        pa.field("error_message", pa.string()),
    ]
    return pa.schema(fields)


def _row(result: BatchResult) -> dict[str, object]:
    return {
        "index": result.index,
        "id": result.id,
        "embedding": None if isinstance(result, ImageFailure) else result.embedding,
        "error_code": result.code if isinstance(result, ImageFailure) else None,
        "error_message": result.message if isinstance(result, ImageFailure) else None,
    }
