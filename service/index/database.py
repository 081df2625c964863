"""Connections to the index's PostgreSQL, wherever it runs."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import psycopg
from pgvector.psycopg import register_vector_async
from psycopg.types.json import set_json_dumps, set_json_loads
from psycopg_pool import AsyncConnectionPool

from service.index.connection import TRANSPORT, BoundedConnection
from service.index.errors import IndexReadOnlyError, IndexUnavailableError
from service.index.pooler import behind_pooler
from service.index.write_state import WriteState

logger = logging.getLogger(__name__)

# Searches take milliseconds and a chunk's commit some more: a few connections keep one process busy.
CONNECTIONS_PER_PROCESS = 4
_WAIT_SECONDS = 3.0
DEFAULT_SECONDS = 30.0
# A readiness probe comes again soon and does not wait long.
_HEALTH_SECONDS = 1.0
# An idle server answers an empty statement in less than a millisecond.
_CHECK_SECONDS = 1.0
# The server ends a statement first: its connection stays of use then.
_MARGIN_SECONDS = 1.0
# The pool gives up soon and tries again on the next request, so that a database that was away for an
# hour is found within seconds of its return.
_RECONNECT_SECONDS = 2.0
# Each connection's own settings. A plan made for the values at hand alone picks the right index for a filter.
_SESSION = """
SELECT set_config('statement_timeout', %s, false),
       set_config('plan_cache_mode', 'force_custom_plan', false),
       CASE current_setting('synchronous_commit')
            WHEN 'off' THEN set_config('synchronous_commit', 'on', false) END
"""


class Database:
    """A pool of connections that survives the database's absence, and its silence.

    Attributes:
        url: where the database is.
        embedded: whether it runs on this machine, as a child of this service.
        writes: whether it takes writes.
    """

    def __init__(self, url: str, seconds: float = DEFAULT_SECONDS, folder: Path | None = None) -> None:
        """Connect to nothing yet.

        Args:
            url: where the database is.
            seconds: what one call may take, from its first statement to its last answer.
            folder: of the embedded database, where it is that.
        """
        self.url = url
        self.embedded = folder is not None
        self.writes = WriteState(folder)
        self._seconds = seconds
        self._pool = AsyncConnectionPool(
            url,
            connection_class=BoundedConnection,
            # A statement is not prepared: behind a pooler the next one may reach another server process.
            kwargs={**TRANSPORT, "autocommit": True, "prepare_threshold": None},
            min_size=1,
            max_size=CONNECTIONS_PER_PROCESS,
            timeout=min(_WAIT_SECONDS, seconds),
            reconnect_timeout=_RECONNECT_SECONDS,
            configure=self._configure,
            check=self._check,
            open=False,
        )

    async def open(self) -> None:
        """Start connecting; the database need not be there yet."""
        await self._pool.open()

    async def close(self) -> None:
        await self._pool.close()

    async def healthy(self) -> bool:
        """Whether the database answers now."""
        try:
            async with self._pool.connection(_HEALTH_SECONDS):
                return True
        except psycopg.Error as error:
            logger.warning("the index does not answer: %s", error)
            return False

    @asynccontextmanager
    async def connection(self, *, writes: bool = False) -> AsyncIterator[BoundedConnection]:
        """Lend a live connection in autocommit mode; wait for one if the database was away a moment.

        Args:
            writes: whether success shows that the database takes writes.

        Raises:
            IndexUnavailableError: the database does not answer in time, or refuses.
            IndexReadOnlyError: its disk is full, or it is a read-only replica.
        """
        try:
            async with self._pool.connection() as connection:
                with connection.budget(self._seconds + _MARGIN_SECONDS):
                    yield connection
        except (psycopg.errors.DiskFull, psycopg.errors.ReadOnlySqlTransaction) as error:
            reason = _first_line(error)
            self.writes.refused(reason)
            raise IndexReadOnlyError(reason) from error
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise IndexUnavailableError(_first_line(error)) from error
        if writes:
            self.writes.succeeded()

    async def _configure(self, connection: BoundedConnection) -> None:
        await register_vector_async(connection)
        set_json_dumps(orjson.dumps, connection)
        set_json_loads(orjson.loads, connection)
        # Without a limit of the server, the budget of a call ends a statement, by cancelling it.
        if not await behind_pooler(connection):
            await connection.execute(_SESSION, [f"{self._seconds * 1000:.0f}ms"])

    async def _check(self, connection: BoundedConnection) -> None:
        try:
            with connection.budget(min(_CHECK_SECONDS, self._seconds)):
                await self._pool.check_connection(connection)
        except psycopg.Error:
            # What ended or froze this one has most likely met the others too: they are not tried one by one.
            await self._pool.drain()
            raise


def _first_line(error: psycopg.Error) -> str:
    return str(error).strip().split("\n", 1)[0]
