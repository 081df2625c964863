"""Vectors, labels, queries and their true neighbours, as files that every engine reads."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.neighbours.engine import FIELDS, Labels

TRUE = 100
_CHUNK = 20_000
# Like `cifar10/4`: the axes are ordered by strength, and items lie in clusters.
_DECAY = 0.5
_ITEMS_PER_CLUSTER = 100
_SPREAD = 0.7
_VALUES = (10, 1000)


@dataclass(frozen=True)
class Case:
    """One kind of search.

    Attributes:
        name: name in the table.
        k: number of neighbours.
        field: field of the filter; None for no filter.
    """

    name: str
    k: int
    field: str | None = None


CASES = (
    Case("@10", 10),
    Case("@100", 100),
    Case("@10 of 10 %", 10, FIELDS[0]),
    Case("@10 of 0.1 %", 10, FIELDS[1]),
)


@dataclass(frozen=True)
class Data:
    """Everything that an engine is measured with.

    Attributes:
        vectors: float32 [N, D], of length one, a memory map.
        labels: int32 [N, 2].
        queries: float32 [Q, D].
        wanted: int32 [Q, 2], values of both fields for each query's filters.
        truth: int64 [Q, 100] for each case, row numbers of the true neighbours, -1 where there are fewer.
    """

    vectors: NDArray[np.float32]
    labels: Labels
    queries: NDArray[np.float32]
    wanted: Labels
    truth: dict[str, NDArray[np.int64]]


def synthetic(path: Path, items: int, queries: int, dimensions: int, seed: int = 0) -> NDArray[np.float32]:
    """Write items to `path`; return queries of the same distribution."""
    rng = np.random.default_rng(seed)
    strengths = (np.arange(1, dimensions + 1) ** -_DECAY).astype(np.float32)
    centres = rng.standard_normal((max(1, items // _ITEMS_PER_CLUSTER), dimensions), np.float32) * strengths
    file = np.lib.format.open_memmap(path, "w+", np.float32, (items, dimensions))

    def draw(count: int) -> NDArray[np.float32]:
        around = centres[rng.integers(0, len(centres), count)]
        vectors = around + _SPREAD * strengths * rng.standard_normal((count, dimensions), np.float32)
        return _unit(vectors)

    for start in range(0, items, _CHUNK):
        file[start : start + _CHUNK] = draw(min(_CHUNK, items - start))
    file.flush()
    return draw(queries)


def from_file(source: Path, path: Path, items: int, queries: int, seed: int = 0) -> NDArray[np.float32]:
    """Copy items of a .npy of shape [N, D] to `path`; return further rows of it as queries.

    Raises:
        ValueError: it holds too few rows.
    """
    real = np.load(source, mmap_mode="r")
    if len(real) < items + queries:
        raise ValueError(
            f"{source} has {len(real):,} rows; {items:,} items and {queries:,} queries need more."
        )
    order = np.random.default_rng(seed).permutation(len(real))[: items + queries]
    file = np.lib.format.open_memmap(path, "w+", np.float32, (items, real.shape[1]))
    for start in range(0, items, _CHUNK):
        file[start : start + _CHUNK] = _unit(real[np.sort(order[start : min(start + _CHUNK, items)])])
    file.flush()
    return _unit(real[order[items:]])


def prepare(folder: Path, queries: NDArray[np.float32], seed: int = 0) -> None:
    """Write labels, queries and their true neighbours beside `folder/vectors.npy`."""
    vectors = np.load(folder / "vectors.npy", mmap_mode="r")
    rng = np.random.default_rng(seed + 1)
    labels, wanted = (
        np.stack([rng.integers(0, values, count, dtype=np.int32) for values in _VALUES], axis=1)
        for count in (len(vectors), len(queries))
    )
    truth = {case.name: _true_neighbours(vectors, labels, queries, wanted, case.field) for case in CASES}
    rest: dict[str, NDArray[Any]] = {"labels": labels, "queries": queries, "wanted": wanted, **truth}
    np.savez(folder / "rest.npz", allow_pickle=False, **rest)


def read(folder: Path) -> Data:
    """Open what `prepare` has written."""
    rest = np.load(folder / "rest.npz")
    return Data(
        np.load(folder / "vectors.npy", mmap_mode="r"),
        rest["labels"],
        rest["queries"],
        rest["wanted"],
        {case.name: rest[case.name] for case in CASES},
    )


def _true_neighbours(
    vectors: NDArray[np.float32],
    labels: Labels,
    queries: NDArray[np.float32],
    wanted: Labels,
    field: str | None,
) -> NDArray[np.int64]:
    best = np.full((len(queries), TRUE), -np.inf, np.float32)
    rows = np.full((len(queries), TRUE), -1, np.int64)
    for start in range(0, len(vectors), _CHUNK):
        chunk = vectors[start : start + _CHUNK]
        scores = queries @ chunk.T
        if field is not None:
            column = FIELDS.index(field)
            passes = labels[start : start + len(chunk), column] == wanted[:, column, None]
            scores = np.where(passes, scores, -np.inf)
        every = np.concatenate([best, scores], axis=1)
        places = np.concatenate(
            [rows, np.broadcast_to(np.arange(start, start + len(chunk)), scores.shape)], axis=1
        )
        chosen = np.argpartition(-every, TRUE - 1, axis=1)[:, :TRUE]
        best, rows = np.take_along_axis(every, chosen, 1), np.take_along_axis(places, chosen, 1)
    order = np.argsort(-best, axis=1)
    best, rows = np.take_along_axis(best, order, 1), np.take_along_axis(rows, order, 1)
    return np.where(np.isfinite(best), rows, -1)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit
