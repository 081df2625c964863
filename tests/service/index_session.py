"""Opening an index inside a test, and cards and items to fill it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import psycopg
from numpy.typing import NDArray

from contract.artefact import open_artefact
from contract.card import ModelCard
from service.index.database import Database
from service.index.items import Metadata, NewItem
from service.index.store import Index

MANY = 10**9


@asynccontextmanager
async def opened(
    url: str, card: ModelCard, exact_items: int = MANY, *, regions: bool = False
) -> AsyncIterator[Index]:
    """An open index on the database at `url`."""
    async with opened_with_database(url, card, exact_items, regions=regions) as (_, index):
        yield index


@asynccontextmanager
async def opened_with_database(
    url: str, card: ModelCard, exact_items: int = MANY, *, regions: bool = False
) -> AsyncIterator[tuple[Database, Index]]:
    """The database at `url` and an open index on it."""
    database = Database(url)
    index = Index(database, card, exact_items, regions=regions)
    await database.open()
    index.start()
    try:
        yield database, index
    finally:
        await index.stop()
        await database.close()


def tiny_card(models: Path) -> ModelCard:
    return open_artefact(models / "tiny" / "1").card


def directions(card: ModelCard, count: int, seed: int = 0) -> NDArray[np.float32]:
    """Random vectors of length one: float32 [count, D]."""
    vectors = np.random.default_rng(seed).standard_normal((count, card.shapes.embedding))
    unit: NDArray[np.float64] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit.astype(np.float32)


def items_of(vectors: NDArray[np.float32], metadata: list[Metadata] | None = None) -> list[NewItem]:
    """Items `000000`, `000001`, ... with these vectors."""
    return [
        NewItem(f"{number:06}", vector, metadata[number] if metadata else {})
        for number, vector in enumerate(vectors)
    ]


def graph_use(url: str, graph: str = "items_1_hnsw") -> tuple[int, int]:
    """How often the graph was used, and how many of its blocks were read, by connections that have ended."""
    with psycopg.connect(url) as connection:
        while connection.execute(
            "SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).rowcount:
            connection.commit()
        row = connection.execute(
            "SELECT idx_scan, idx_blks_read + idx_blks_hit "
            "FROM pg_stat_user_indexes JOIN pg_statio_user_indexes USING (indexrelid) "
            "WHERE pg_stat_user_indexes.indexrelname = %s",
            [graph],
        ).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])
