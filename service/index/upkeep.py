"""Upkeep of one space: size and recall are published, and a graph is built once exact search is outgrown."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from time import monotonic

from service.index import graph, queries
from service.index.connection import BoundedConnection
from service.index.database import Database
from service.index.errors import IndexUnavailableError
from service.index.recall_sample import RecallSample
from service.index.space import Space
from service.metrics import INDEX_GRAPH_PROGRESS, INDEX_READ_ONLY, INDEX_SIZE

logger = logging.getLogger(__name__)

_EVERY_SECONDS = 15.0
# To add up so many takes less than a millisecond.
_MOST_PARTS = 200
# A space that grows faster than this between two looks is being filled. Each item that comes after the graph
# costs fifty times what it costs before.
_QUIET_GROWTH = 0.01
_QUIET_ITEMS = 1000
_LONGEST_WAIT_SECONDS = 1800.0
_LONGEST_PAUSE_SECONDS = 3600.0

Lend = Callable[[], AbstractAsyncContextManager[tuple[BoundedConnection, Space]]]
"""Lends a connection, and the space."""


def is_quiet(before: int | None, items: int, waited: float) -> bool:
    """Whether a space has stopped growing, or has been too large for long enough.

    Args:
        before: its items at the last look; None at the first.
        items: its items now.
        waited: seconds since it was first too large.
    """
    if waited > _LONGEST_WAIT_SECONDS:
        return True
    return before is not None and items - before <= max(_QUIET_ITEMS, _QUIET_GROWTH * items)


class Upkeep:
    """Upkeep by one process; several do the same and take turns at the graph."""

    def __init__(
        self, database: Database, lend: Lend, exact_items: int, name: str, recall: RecallSample
    ) -> None:
        """`name` is what the metrics call the model."""
        self._recall = recall
        self._database = database
        self._lend = lend
        self._exact_items = exact_items
        self._size = INDEX_SIZE.labels(name)
        self._progress = INDEX_GRAPH_PROGRESS.labels(name)
        self._closing = asyncio.Event()
        self._looking = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._build: asyncio.Task[None] | None = None
        self._items_before: int | None = None
        self._outgrown_since: float | None = None
        self._pause = 0.0
        self._not_before = 0.0

    def start(self) -> None:
        """Begin; the database need not be there yet."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End; a graph that this process builds is left to another one."""
        self._closing.set()
        for task in (self._task, self._build):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def run_once(self) -> None:
        """Do all that there is to do now; on return it is done.

        Raises:
            IndexUnavailableError: the database does not answer.
        """
        async with self._looking:
            space, items, wanted = await self._look()
            if wanted:
                await graph.build(self._database, space, items)
                await self._look()

    async def _run(self) -> None:
        # The event, too, ends it: a cancelled database call may end as a failed one and the task live on.
        while not self._closing.is_set():
            try:
                async with self._looking:
                    space, items, wanted = await self._look()
                if wanted and self._is_quiet(items):
                    self._begin_build(space, items)
                self._items_before = items
                if self._recall.due:
                    async with self._lend() as (connection, space):
                        await self._recall.take(connection, space)
            except IndexUnavailableError as error:
                logger.debug("index maintenance waits: %s", error)
            except Exception:
                logger.exception("index maintenance failed")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), _EVERY_SECONDS)

    async def _look(self) -> tuple[Space, int, bool]:
        """Publish what is seen; the space, its items, and whether it needs a graph."""
        async with self._lend() as (connection, space):
            items = await _count(connection, space)
            has_graph = await graph.exists(connection, space)
            built = 1.0 if has_graph else await graph.progress(connection, space, items)
        self._size.set(items)
        self._progress.set(built or 0.0)
        INDEX_READ_ONLY.set(self._database.writes.obstacle is not None)
        return space, items, items > self._exact_items and not has_graph and graph.possible(space)

    def _is_quiet(self, items: int) -> bool:
        self._outgrown_since = self._outgrown_since or monotonic()
        return is_quiet(self._items_before, items, monotonic() - self._outgrown_since)

    def _begin_build(self, space: Space, items: int) -> None:
        if (self._build is None or self._build.done()) and monotonic() >= self._not_before:
            self._build = asyncio.create_task(self._build_once(space, items))

    async def _build_once(self, space: Space, items: int) -> None:
        """Build beside the looks; search stays exact where that fails, and it is tried again ever later."""
        try:
            await graph.build(self._database, space, items)
            self._outgrown_since, self._pause = None, 0.0
        except Exception:
            self._pause = min(_LONGEST_PAUSE_SECONDS, 2 * self._pause or _EVERY_SECONDS)
            self._not_before = monotonic() + self._pause
            logger.exception("the neighbour graph cannot be built; the next try is in %.0f s", self._pause)


async def _count(connection: BoundedConnection, space: Space) -> int:
    """The number of items; add its parts up where they have become many."""
    row = await (await connection.execute(queries.COUNT, [space.number])).fetchone()
    assert row is not None  # noqa: S101 (an aggregate always has one)
    items, parts = row
    if parts > _MOST_PARTS:
        await connection.execute(queries.ADD_UP_COUNTS, {"space": space.number})
    return int(items)
