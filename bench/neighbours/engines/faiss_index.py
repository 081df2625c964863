"""FAISS: HNSW over half precision, in memory; filters as sets of row numbers."""

from pathlib import Path
from time import perf_counter

import faiss
import numpy as np
from numpy.typing import NDArray

from bench.neighbours.engine import BUILD_BREADTH, FIELDS, LINKS, SEARCH_BREADTH, BuildTimes, Labels


class Faiss:
    """An index whose filters are bitmaps of its items, made while it is built."""

    filters = True

    def __init__(self, folder: Path, dimensions: int) -> None:
        self._file = folder / "index.faiss"
        self._index = faiss.IndexHNSWSQ(
            dimensions, faiss.ScalarQuantizer.QT_fp16, LINKS, faiss.METRIC_INNER_PRODUCT
        )
        self._index.hnsw.efConstruction = BUILD_BREADTH
        self._bitmaps: dict[tuple[str, int], NDArray[np.uint8]] = {}

    def build(self, vectors: NDArray[np.float32], labels: Labels) -> BuildTimes:
        started = perf_counter()
        self._index.train(np.asarray(vectors[:1000]))
        self._index.add(np.asarray(vectors))
        built = perf_counter()
        for column, field in enumerate(FIELDS):
            for value in np.unique(labels[:, column]).tolist():
                passes = labels[:, column] == value
                self._bitmaps[field, value] = np.packbits(passes, bitorder="little")
        faiss.write_index(self._index, str(self._file))
        return BuildTimes(perf_counter() - built, built - started)

    def search(self, vector: NDArray[np.float32], k: int, field: str | None, value: int) -> list[int]:
        parameters = faiss.SearchParametersHNSW(efSearch=max(SEARCH_BREADTH, k))
        if field is not None:
            bitmap = self._bitmaps.get((field, value))
            if bitmap is None:
                return []
            parameters.sel = faiss.IDSelectorBitmap(bitmap)
        _, found = self._index.search(vector[None], k, params=parameters)
        rows: list[int] = found[0][found[0] >= 0].tolist()
        return rows

    def close(self) -> None:
        pass
