"""LanceDB: partitions with HNSW over 8 bits, re-ranked by the stored vectors, on disk."""

from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import lancedb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bench.neighbours.engine import BUILD_BREADTH, FIELDS, LINKS, SEARCH_BREADTH, BuildTimes, Labels

_CHUNK = 20_000
# A tenth of the partitions are searched, and three times as many candidates are compared again.
_ITEMS_PER_PARTITION = 50_000
_REFINE = 3


class LanceDB:
    """A table with an index of its vectors and one of each label."""

    filters = True

    def __init__(self, folder: Path, dimensions: int) -> None:
        self._database = lancedb.connect(folder / "lance")
        self._type = pa.list_(pa.float32(), dimensions)

    def build(self, vectors: NDArray[np.float32], labels: Labels) -> BuildTimes:
        started = perf_counter()
        fields = [("id", pa.int64()), ("vector", self._type), *((field, pa.int32()) for field in FIELDS)]
        schema = pa.schema(fields)
        self._table = self._database.create_table(
            "items", self._batches(vectors, labels, schema), schema=schema
        )
        loaded = perf_counter()
        self._partitions = max(1, len(vectors) // _ITEMS_PER_PARTITION)
        self._table.create_index(
            metric="dot",
            index_type="IVF_HNSW_SQ",
            num_partitions=self._partitions,
            m=LINKS,
            ef_construction=BUILD_BREADTH,
        )
        for field in FIELDS:
            self._table.create_scalar_index(field, index_type="BITMAP")
        return BuildTimes(loaded - started, perf_counter() - loaded)

    def search(self, vector: NDArray[np.float32], k: int, field: str | None, value: int) -> list[int]:
        query = self._table.search(vector).metric("dot").limit(k).select(["id"])
        query = (
            query.nprobes(min(self._partitions, 20))
            .refine_factor(_REFINE)
            .ef(max(SEARCH_BREADTH, _REFINE * k))
        )
        if field is not None:
            query = query.where(f"{field} = {value}", prefilter=True)
        rows: list[int] = query.to_arrow()["id"].to_pylist()
        return rows

    def close(self) -> None:
        pass

    def _batches(
        self, vectors: NDArray[np.float32], labels: Labels, schema: pa.Schema
    ) -> Iterator[pa.RecordBatch]:
        for start in range(0, len(vectors), _CHUNK):
            chunk = np.asarray(vectors[start : start + _CHUNK])
            columns = [
                pa.array(np.arange(start, start + len(chunk))),
                pa.FixedSizeListArray.from_arrays(pa.array(chunk.ravel()), chunk.shape[1]),
                *(pa.array(labels[start : start + len(chunk), column]) for column in range(len(FIELDS))),
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)
