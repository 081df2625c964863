"""Benchmark of neighbours: true neighbours are true, recall counts them, the table says what is missing."""

from pathlib import Path

import numpy as np
import pytest

from bench.neighbours import vectors
from bench.neighbours.engine import FIELDS
from bench.neighbours.measuring import recall
from bench.neighbours.table import markdown
from bench.neighbours.vectors import CASES


@pytest.fixture
def data(tmp_path: Path) -> vectors.Data:
    vectors.prepare(tmp_path, vectors.synthetic(tmp_path / "vectors.npy", 1500, 4, 16))
    return vectors.read(tmp_path)


def test_the_true_neighbours_are_those_of_the_highest_product_that_pass(data: vectors.Data) -> None:
    assert np.allclose(np.linalg.norm(data.vectors, axis=1), 1, atol=1e-5)
    for case in CASES:
        for query, wanted, truth in zip(data.queries, data.wanted, data.truth[case.name], strict=True):
            scores = data.vectors @ query
            if case.field is not None:
                column = FIELDS.index(case.field)
                scores[data.labels[:, column] != wanted[column]] = -np.inf
            expected = [row for row in np.argsort(-scores).tolist() if np.isfinite(scores[row])][:100]
            assert truth[truth >= 0].tolist() == expected


def test_equal_seeds_make_equal_vectors(tmp_path: Path) -> None:
    first, second = (vectors.synthetic(tmp_path / name, 1000, 3, 8) for name in ("a.npy", "b.npy"))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), np.load(tmp_path / "b.npy"))


def test_real_vectors_are_split_into_items_and_queries(tmp_path: Path) -> None:
    real = np.random.default_rng(0).standard_normal((60, 8)).astype(np.float32)
    np.save(tmp_path / "real.npy", real)
    queries = vectors.from_file(tmp_path / "real.npy", tmp_path / "items.npy", 50, 10)
    unit = real / np.linalg.norm(real, axis=1, keepdims=True)
    rows = np.concatenate([np.load(tmp_path / "items.npy"), queries])
    np.testing.assert_allclose(np.sort(rows, axis=0), np.sort(unit, axis=0), atol=1e-6)
    with pytest.raises(ValueError, match="60 rows"):
        vectors.from_file(tmp_path / "real.npy", tmp_path / "more.npy", 60, 1)


def test_recall_counts_what_exists() -> None:
    truth = np.array([3, 1, 2, -1])
    assert recall([1, 9, 3], truth, 2) == 0.5
    assert recall([3, 1, 2], truth, 4) == 1
    assert recall([], np.array([-1, -1]), 2) == 1


def test_the_table_names_what_is_missing_and_why() -> None:
    figures = {"recall": 0.9876, "p50_ms": 12.34, "p95_ms": 56.78}
    table = markdown(
        {
            "items": 5000,
            "dimensions": 512,
            "vectors": "synthetic",
            "queries": 200,
            "machine": "2 cores",
            "engines": {
                "usearch": {
                    "load_seconds": 1.4,
                    "index_seconds": 20.0,
                    "memory_bytes": 3 * 2**20,
                    "disk_bytes": 2**20,
                    "searches": {"@10": figures},
                }
            },
            "missing": {"faiss": "no wheel"},
        }
    )
    assert "| 0.988 · 12.3 ms · 56.8 ms | - | - | - | 1 s | 20 s | 3 MiB | 1 MiB |" in table
    assert "- faiss: no wheel" in table
