"""Near-duplicates in a space: pairs from a cosine on, joined to groups."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import AsyncConnection, sql

from contract.progress import Progress
from service.index import graph
from service.index.search import Query, SearchMemory, find
from service.index_jobs.access import IndexJobError, connected
from service.index_jobs.duplicate_groups import DuplicateGroups
from service.index_jobs.spaces import ListedSpace

# A search finds so many at a time; more that are alike are joined through these.
_NEIGHBOURS = 32
_SEARCHES_AT_ONCE = 4
_ROWS_FETCHED = 500
# Rows that are compared with rows at a time: 16 MiB of scores.
_BLOCK = 2048
_VECTORS = sql.SQL("SELECT id, embedding FROM {table} WHERE space = {space} ORDER BY id")


async def find_duplicates(
    url: str, chosen: ListedSpace, threshold: float, progress: Progress, *, exact: bool
) -> DuplicateGroups:
    """Join all pairs of a space whose cosine is at least `threshold`.

    Args:
        url: of the database.
        chosen: the space.
        threshold: lowest cosine of a pair.
        progress: shows the items.
        exact: compare each item with every other, in time that grows with the square of their number;
            otherwise search the graph for each item, which misses about one pair in a hundred.

    Raises:
        IndexJobError: there is no graph yet.
    """
    async with connected(url) as connection:
        if exact:
            return await _by_comparison(connection, chosen, threshold, progress)
        if not await graph.exists(connection, chosen.space.embeddings):
            raise IndexJobError(
                f"The neighbour graph of {chosen.name} is not built yet. Let the service build it, or pass "
                "--exact to compare all pairs."
            )
        return await _by_graph(connection, url, chosen, threshold, progress)


async def _by_comparison(
    connection: AsyncConnection, chosen: ListedSpace, threshold: float, progress: Progress
) -> DuplicateGroups:
    ids: list[str] = []
    dimensions = chosen.identity.dimensions
    with tempfile.TemporaryFile() as file:
        async for found, vectors in _vectors(connection, chosen):
            ids += found
            file.write(vectors.tobytes())
        groups = DuplicateGroups(ids)
        if not ids:
            return groups
        file.flush()
        every = np.memmap(file, np.float32, "r", shape=(len(ids), dimensions))
        for start in range(0, len(ids), _BLOCK):
            rows = np.ascontiguousarray(every[start : start + _BLOCK])
            for place in range(start, len(ids), _BLOCK):
                scores = rows @ every[place : place + _BLOCK].T
                near, other = np.nonzero(scores >= threshold)
                # Each pair once, and none of an item with itself.
                later = start + near < place + other
                near, other = near[later], other[later]
                groups.join(start + near, place + other, scores[near, other])
            progress.update(min(start + _BLOCK, len(ids)), len(ids), share=_share(start + _BLOCK, len(ids)))
    return groups


def _share(done: int, items: int) -> float:
    """Return the share of all pairs that are compared when the first `done` items are."""
    left = max(0, items - done) / items
    return 1 - left * left


async def _by_graph(
    connection: AsyncConnection, url: str, chosen: ListedSpace, threshold: float, progress: Progress
) -> DuplicateGroups:
    statement = sql.SQL("SELECT id FROM {} ORDER BY id").format(chosen.space.table)
    ids = [row[0] for row in await (await connection.execute(statement)).fetchall()]
    numbers = {item_id: number for number, item_id in enumerate(ids)}
    groups = DuplicateGroups(ids)
    memory = SearchMemory()
    done = 0
    async with AsyncExitStack() as stack:
        lent: asyncio.Queue[AsyncConnection] = asyncio.Queue()
        for _ in range(_SEARCHES_AT_ONCE):
            lent.put_nowait(await stack.enter_async_context(connected(url)))

        async def search(item_id: str, vector: NDArray[np.float32]) -> None:
            searching = await lent.get()
            try:
                query = Query(vector, _NEIGHBOURS, min_score=threshold)
                hits = await find(searching, chosen.space, query, memory)
            finally:
                lent.put_nowait(searching)
            # An item that was stored meanwhile has no number.
            near = [hit for hit in hits if hit.id != item_id and hit.id in numbers]
            if near and item_id in numbers:
                places = [numbers[hit.id] for hit in near]
                groups.join([numbers[item_id]] * len(near), places, [hit.score for hit in near])

        async for found, vectors in _vectors(connection, chosen):
            await asyncio.gather(*map(search, found, vectors))
            done += len(found)
            progress.update(done, chosen.statistics.items)
    return groups


async def _vectors(
    connection: AsyncConnection, chosen: ListedSpace
) -> AsyncIterator[tuple[list[str], NDArray[np.float32]]]:
    """Read ids and vectors [N, D], by id, as of one moment."""
    async with (
        connection.transaction(),
        psycopg.AsyncServerCursor(connection, "infomax_vectors") as cursor,
    ):
        statement = _VECTORS.format(table=chosen.space.table, space=sql.Literal(chosen.number))
        await cursor.execute(statement, binary=True)
        while rows := await cursor.fetchmany(_ROWS_FETCHED):
            yield [row[0] for row in rows], np.stack([row[1].to_numpy() for row in rows]).astype(np.float32)
