"""Connections to the index's PostgreSQL, wherever it runs."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
import psycopg
from pgvector.psycopg import register_vector_async
from psycopg import AsyncConnection
from psycopg.types.json import set_json_dumps, set_json_loads
from psycopg_pool import AsyncConnectionPool

from service.index.errors import IndexUnavailableError

logger = logging.getLogger(__name__)

# Searches take milliseconds and a chunk's commit some more: a few connections keep one process busy.
CONNECTIONS_PER_PROCESS = 4
_WAIT_SECONDS = 3.0
# Whoever asks for the health (a readiness probe) asks again soon and does not wait long.
_HEALTH_SECONDS = 1.0
# The pool gives up soon and tries again on the next request, so that a database that was away for an
# hour is found within seconds of its return.
_RECONNECT_SECONDS = 2.0
# Each connection's own settings. A plan made for the values at hand alone picks the right index for a
# filter; strict order and resumed scans let the graph answer any k and any filter.
_SESSION = """
SELECT set_config('statement_timeout', '30s', false),
       set_config('plan_cache_mode', 'force_custom_plan', false),
       set_config('hnsw.ef_search', '100', false),
       set_config('hnsw.iterative_scan', 'strict_order', false),
       CASE current_setting('synchronous_commit')
            WHEN 'off' THEN set_config('synchronous_commit', 'on', false) END
"""


class Database:
    """A pool of connections that survives the database's absence.

    Attributes:
        url: where the database is.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._pool = AsyncConnectionPool(
            url,
            kwargs={
                "autocommit": True,
                "application_name": "infomax",
                "connect_timeout": 5,
                "tcp_user_timeout": 15_000,
            },
            min_size=1,
            max_size=CONNECTIONS_PER_PROCESS,
            timeout=_WAIT_SECONDS,
            reconnect_timeout=_RECONNECT_SECONDS,
            configure=_configure,
            check=AsyncConnectionPool.check_connection,
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
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        """Lend a live connection in autocommit mode; wait for one if the database was away a moment.

        Raises:
            IndexUnavailableError: the database does not answer, refuses, is read-only, or its disk is full.
        """
        try:
            async with self._pool.connection() as connection:
                yield connection
        except (
            psycopg.OperationalError,
            psycopg.InterfaceError,
            psycopg.errors.ReadOnlySqlTransaction,
        ) as error:
            raise IndexUnavailableError(str(error).strip().split("\n", 1)[0]) from error


async def _configure(connection: AsyncConnection) -> None:
    await register_vector_async(connection)
    set_json_dumps(orjson.dumps, connection)
    set_json_loads(orjson.loads, connection)
    await connection.execute(_SESSION)
