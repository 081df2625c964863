"""The approximate index of one space: an HNSW graph (Malkov & Yashunin 2016, arXiv 1603.09320) over halves.

Few items are compared one by one, which is exact and fast enough. The graph is built once there are many,
and in one go, because filling it item by item is slower by far. It holds the vectors in half precision,
a third of the memory at long embeddings; a search takes somewhat more candidates than it was asked for
and orders them by the stored single-precision vectors.
"""

import logging

import psycopg
from psycopg import AsyncConnection, sql

from service.index.errors import IndexUnavailableError
from service.index.space import Space

logger = logging.getLogger(__name__)

# pgvector's own limit for HNSW over half-precision vectors.
MAX_DIMENSIONS = 4000
_BUILD_LOCK = 0x1F03B


def half_precision(space: Space, value: sql.Composable) -> sql.Composed:
    """`value` as the graph stores it; only an ORDER BY of this very expression uses the graph."""
    return sql.SQL("({}::halfvec({}))").format(value, sql.Literal(space.dimensions))


async def exists(connection: AsyncConnection, space: Space) -> bool:
    """Whether the graph is complete and searches use it."""
    return await _is_valid(connection, space) is True


async def build(url: str, space: Space) -> None:
    """Build the graph, beside reads and writes, unless another server is at it or has done it.

    A build that was cut short leaves an index that PostgreSQL does not use; it is dropped first.

    Raises:
        IndexUnavailableError: the database went away.
    """
    try:
        async with await AsyncConnection.connect(
            url, autocommit=True, application_name="infomax"
        ) as connection:
            cursor = await connection.execute(
                "SELECT pg_try_advisory_lock(%s, %s)", [_BUILD_LOCK, space.number]
            )
            if await cursor.fetchone() == (True,) and not await exists(connection, space):
                await _build(connection, space)
    except psycopg.OperationalError as error:
        raise IndexUnavailableError(str(error).strip()) from error


async def _build(connection: AsyncConnection, space: Space) -> None:
    logger.info("building the neighbour graph of space %d", space.number)
    # One thread: the cores are for requests, and a container's shared memory may be too small for more.
    await connection.execute("SET maintenance_work_mem = '256MB'; SET max_parallel_maintenance_workers = 0")
    graph = sql.Identifier(space.graph)
    await connection.execute(sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS infomax.{}").format(graph))
    await connection.execute(
        sql.SQL("CREATE INDEX CONCURRENTLY {} ON {} USING hnsw ({} halfvec_ip_ops)").format(
            graph, space.table, half_precision(space, sql.Identifier("embedding"))
        )
    )
    await connection.execute(sql.SQL("ANALYZE {}").format(space.table))
    logger.info("the neighbour graph of space %d is ready", space.number)


async def _is_valid(connection: AsyncConnection, space: Space) -> bool | None:
    cursor = await connection.execute(
        "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", [f"infomax.{space.graph}"]
    )
    row = await cursor.fetchone()
    return None if row is None else bool(row[0])
