"""Qdrant Edge: one shard of Qdrant in this process, with its filters, on disk."""

from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from qdrant_edge import (
    Distance,
    EdgeConfig,
    EdgeShard,
    EdgeVectorParams,
    FieldCondition,
    Filter,
    HnswIndexConfig,
    MatchValue,
    PayloadSchemaType,
    Point,
    Query,
    SearchParams,
    SearchRequest,
    UpdateOperation,
    VectorStorageDatatype,
)

from bench.neighbours.engine import BUILD_BREADTH, FIELDS, LINKS, SEARCH_BREADTH, BuildTimes, Labels

_CHUNK = 1000
_FULL_SCAN_KILOBYTES = 10_000


class Qdrant:
    """A shard with payload indexes, optimised after it was filled."""

    filters = True

    def __init__(self, folder: Path, dimensions: int) -> None:
        path = folder / "shard"
        path.mkdir()
        graph = HnswIndexConfig(LINKS, BUILD_BREADTH, _FULL_SCAN_KILOBYTES)
        vectors = EdgeVectorParams(dimensions, Distance.Dot, datatype=VectorStorageDatatype.Float16)
        self._shard = EdgeShard.create(str(path), EdgeConfig(vectors, hnsw_config=graph))

    def build(self, vectors: NDArray[np.float32], labels: Labels) -> BuildTimes:
        started = perf_counter()
        for field in FIELDS:
            self._shard.update(UpdateOperation.create_field_index(field, PayloadSchemaType.Integer))
        for start in range(0, len(vectors), _CHUNK):
            points = [
                Point(
                    start + row, vector.tolist(), dict(zip(FIELDS, labels[start + row].tolist(), strict=True))
                )
                for row, vector in enumerate(vectors[start : start + _CHUNK])
            ]
            self._shard.update(UpdateOperation.upsert_points(points))
        self._shard.flush()
        loaded = perf_counter()
        self._shard.optimize()
        return BuildTimes(loaded - started, perf_counter() - loaded)

    def search(self, vector: NDArray[np.float32], k: int, field: str | None, value: int) -> list[int]:
        only = None if field is None else Filter(must=[FieldCondition(field, match=MatchValue(value))])
        parameters = SearchParams(hnsw_ef=max(SEARCH_BREADTH, k))
        query = Query.Nearest(vector.tolist())
        found = self._shard.search(SearchRequest(query, k, filter=only, params=parameters))
        return [int(point.id) for point in found]

    def close(self) -> None:
        self._shard.close()
