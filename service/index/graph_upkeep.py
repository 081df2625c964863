"""Upkeep of one graph: it is built once its column has outgrown exact search and stopped growing."""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

from psycopg import AsyncConnection

from service.index import graph
from service.index.database import Database
from service.index.space import VectorColumn

logger = logging.getLogger(__name__)

# A column that grows faster than this between two looks is being filled. Each vector that comes after the
# graph costs fifty times what it costs before.
_QUIET_GROWTH = 0.01
_QUIET_ROWS = 1000
_LONGEST_WAIT_SECONDS = 1800.0
_FIRST_PAUSE_SECONDS = 15.0
_LONGEST_PAUSE_SECONDS = 3600.0


def is_quiet(before: int | None, rows: int, waited: float) -> bool:
    """Whether a column has stopped growing, or has been too large for long enough.

    Args:
        before: its rows at the last look; None at the first.
        rows: its rows now.
        waited: seconds since it was first too large.
    """
    if waited > _LONGEST_WAIT_SECONDS:
        return True
    return before is not None and rows - before <= max(_QUIET_ROWS, _QUIET_GROWTH * rows)


@dataclass(frozen=True)
class Sight:
    """What one look at a column has found.

    Attributes:
        rows: of the column.
        built: share of its graph that is built, 1 where searches use it.
        wanted: whether it needs a graph.
    """

    rows: int
    built: float
    wanted: bool


class GraphUpkeep:
    """Upkeep of one column's graph by one process; several do the same and take turns."""

    def __init__(self, database: Database, exact_rows: int) -> None:
        """`exact_rows` are searched one by one, before a graph is built."""
        self._database = database
        self._exact_rows = exact_rows
        self._build: asyncio.Task[None] | None = None
        self._rows_before: int | None = None
        self._outgrown_since: float | None = None
        self._pause = 0.0
        self._not_before = 0.0

    async def look(self, connection: AsyncConnection, column: VectorColumn, rows: int) -> Sight:
        """See whether a column of so many rows has a graph, and needs one."""
        has_graph = await graph.exists(connection, column)
        built = 1.0 if has_graph else await graph.progress(connection, column, rows)
        wanted = rows > self._exact_rows and not has_graph and graph.possible(column)
        return Sight(rows, built or 0.0, wanted)

    async def build_now(self, column: VectorColumn, sight: Sight) -> None:
        """Build the graph where it is wanted, or wait until this process has; on return it is there.

        Raises:
            IndexUnavailableError: the database does not answer.
        """
        if not sight.wanted:
            return
        if self._build is not None and not self._build.done():
            # The lock on builds is its own: another build here would give up at once.
            await asyncio.wait({self._build})
        await graph.build(self._database, column, sight.rows)

    def build_when_quiet(self, column: VectorColumn, sight: Sight) -> None:
        """Begin to build the graph where it is wanted and the column has stopped growing."""
        if sight.wanted and self._is_quiet(sight.rows):
            self._begin(column, sight.rows)
        self._rows_before = sight.rows

    async def stop(self) -> None:
        """End; a graph that this process builds is left to another one."""
        if self._build is not None:
            self._build.cancel()
            with suppress(asyncio.CancelledError):
                await self._build

    def _is_quiet(self, rows: int) -> bool:
        self._outgrown_since = self._outgrown_since or monotonic()
        return is_quiet(self._rows_before, rows, monotonic() - self._outgrown_since)

    def _begin(self, column: VectorColumn, rows: int) -> None:
        if (self._build is None or self._build.done()) and monotonic() >= self._not_before:
            self._build = asyncio.create_task(self._build_once(column, rows))

    async def _build_once(self, column: VectorColumn, rows: int) -> None:
        """Build beside the looks; search stays exact where that fails, and it is tried again ever later."""
        try:
            await graph.build(self._database, column, rows)
            self._outgrown_since, self._pause = None, 0.0
        except Exception:
            self._pause = min(_LONGEST_PAUSE_SECONDS, 2 * self._pause or _FIRST_PAUSE_SECONDS)
            self._not_before = monotonic() + self._pause
            logger.exception("the neighbour graph cannot be built; the next try is in %.0f s", self._pause)
