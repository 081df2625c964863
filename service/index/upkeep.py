"""Upkeep of one space: size and recall are published, and graphs are built once exact search is outgrown."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress

from service.index import queries
from service.index.connection import BoundedConnection
from service.index.database import Database
from service.index.errors import IndexUnavailableError
from service.index.graph_upkeep import GraphUpkeep, Sight
from service.index.recall_sample import RecallSample
from service.index.space import Space, VectorColumn
from service.metrics import INDEX_GRAPH_PROGRESS, INDEX_READ_ONLY, INDEX_SIZE

logger = logging.getLogger(__name__)

_EVERY_SECONDS = 15.0
# To add up so many takes less than a millisecond.
_MOST_PARTS = 200

Lend = Callable[[], AbstractAsyncContextManager[tuple[BoundedConnection, Space]]]
"""Lends a connection, and the space."""

_Look = tuple[GraphUpkeep, VectorColumn, Sight]


class Upkeep:
    """Upkeep by one process; several do the same and take turns at the graphs."""

    def __init__(
        self,
        database: Database,
        lend: Lend,
        exact_items: int,
        name: str,
        recall: RecallSample,
        units: int | None = None,
    ) -> None:
        """Take what the metrics call the model, and the length of its cells, where they are kept."""
        self._recall = recall
        self._database = database
        self._lend = lend
        self._units = units
        self._embeddings = GraphUpkeep(database, exact_items)
        self._cells = GraphUpkeep(database, exact_items)
        self._size = INDEX_SIZE.labels(name)
        self._progress = INDEX_GRAPH_PROGRESS.labels(name)
        self._closing = asyncio.Event()
        self._looking = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; the database need not be there yet."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End; a graph that this process builds is left to another one."""
        self._closing.set()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        for one in (self._embeddings, self._cells):
            await one.stop()

    async def run_once(self) -> None:
        """Do all that there is to do now; on return it is done.

        Raises:
            IndexUnavailableError: the database does not answer.
        """
        async with self._looking:
            for upkeep, column, sight in await self._look():
                await upkeep.build_now(column, sight)
            await self._look()

    async def _run(self) -> None:
        # The event, too, ends it: a cancelled database call may end as a failed one and the task live on.
        while not self._closing.is_set():
            try:
                async with self._looking:
                    looks = await self._look()
                for upkeep, column, sight in looks:
                    upkeep.build_when_quiet(column, sight)
                if self._recall.due:
                    async with self._lend() as (connection, space):
                        await self._recall.take(connection, space)
            except IndexUnavailableError as error:
                logger.debug("index maintenance waits: %s", error)
            except Exception:
                logger.exception("index maintenance failed")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), _EVERY_SECONDS)

    async def _look(self) -> list[_Look]:
        """Publish what is seen, and return it for each column of vectors."""
        async with self._lend() as (connection, space):
            items = await _count(connection, space, queries.ITEM_COUNTS)
            seen = await self._embeddings.look(connection, space.embeddings, items)
            looks = [(self._embeddings, space.embeddings, seen)]
            if self._units is not None:
                cells, column = await _count(connection, space, queries.CELL_COUNTS), space.cells(self._units)
                looks.append((self._cells, column, await self._cells.look(connection, column, cells)))
        self._size.set(items)
        self._progress.set(seen.built)
        INDEX_READ_ONLY.set(self._database.writes.obstacle is not None)
        return looks


async def _count(connection: BoundedConnection, space: Space, counts: queries.Counts) -> int:
    """The number of rows; add its parts up where they have become many."""
    row = await (await connection.execute(counts.read, [space.number])).fetchone()
    assert row is not None  # noqa: S101 (an aggregate always has one)
    rows, parts = row
    if parts > _MOST_PARTS:
        await connection.execute(counts.add_up, {"space": space.number})
    return int(rows)
