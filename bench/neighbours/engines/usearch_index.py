"""usearch: HNSW over half precision, in memory; the limit to compare with."""

from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from usearch.index import Index

from bench.neighbours.engine import BUILD_BREADTH, LINKS, SEARCH_BREADTH, BuildTimes, Labels


class Usearch:
    """An index that knows no filters."""

    filters = False

    def __init__(self, folder: Path, dimensions: int) -> None:
        self._file = folder / "index.usearch"
        self._index = Index(
            ndim=dimensions,
            metric="ip",
            dtype="f16",
            connectivity=LINKS,
            expansion_add=BUILD_BREADTH,
            expansion_search=SEARCH_BREADTH,
        )

    def build(self, vectors: NDArray[np.float32], labels: Labels) -> BuildTimes:  # noqa: ARG002
        started = perf_counter()
        self._index.add(np.arange(len(vectors)), np.asarray(vectors))
        built = perf_counter()
        self._index.save(str(self._file))
        return BuildTimes(perf_counter() - built, built - started)

    def search(self, vector: NDArray[np.float32], k: int, field: str | None, value: int) -> list[int]:  # noqa: ARG002
        keys: list[int] = self._index.search(vector, k).keys.tolist()
        return keys

    def close(self) -> None:
        pass
