"""The approximate index of one column: an HNSW graph (Malkov & Yashunin 2016, arXiv 1603.09320) over halves.

Few items are compared one by one, which is exact and fast enough. The graph is built once there are many,
and in one go, because filling it item by item is slower by far. It holds the vectors in half precision,
a third of the memory at long embeddings; a search takes somewhat more candidates than it was asked for
and orders them by the stored single-precision vectors.
"""

import asyncio
import logging
import math

import psycopg
from psycopg import AsyncConnection, sql

from service.index.connection import TRANSPORT, BoundedConnection
from service.index.database import Database
from service.index.errors import IndexUnavailableError
from service.index.graph_resources import BuildResources, alone, apply, choose
from service.index.pooler import behind_pooler
from service.index.space import VectorColumn

logger = logging.getLogger(__name__)

# pgvector's own limit for HNSW over half-precision vectors.
MAX_DIMENSIONS = 4000
# Candidates while it is built. pgvector's default of 64 takes two thirds of the time, and its graphs lead
# past whole clusters twice as often; 200 takes twice the time and finds no more.
_BUILD_BREADTH = 128
_BUILD_LOCK = 0x1F03B
_LOOK_SECONDS = 15.0
_MOST_SILENCES = 4


def half_precision(column: VectorColumn, value: sql.Composable) -> sql.Composed:
    """`value` as the graph stores it; only an ORDER BY of this very expression uses the graph."""
    return sql.SQL("({}::halfvec({}))").format(value, sql.Literal(column.dimensions))


async def exists(connection: AsyncConnection, column: VectorColumn) -> bool:
    """Whether the graph is complete and searches use it."""
    return await _is_valid(connection, column) is True


def possible(column: VectorColumn) -> bool:
    """Whether pgvector builds graphs over vectors of this length."""
    return column.dimensions <= MAX_DIMENSIONS


async def progress(connection: AsyncConnection, column: VectorColumn, items: int) -> float | None:
    """The share of the graph that is built, by whichever process is at it; None where none is."""
    cursor = await connection.execute(
        "SELECT max(tuples_done) FROM pg_stat_progress_create_index WHERE relid = to_regclass(%s)",
        [f"infomax.{column.relation}"],
    )
    row = await cursor.fetchone()
    return None if row is None or row[0] is None else min(1.0, float(row[0]) / max(1, items))


async def build(database: Database, column: VectorColumn, items: int) -> None:
    """Build the graph, beside reads and writes, unless another server is at it or has done it.

    A build may take hours, so its statement has no limit of its own. It is given up when the database answers
    nothing else for a minute.

    Raises:
        IndexUnavailableError: the database went away.
    """
    building = asyncio.create_task(_build_once(database, column, items))
    silences = 0
    try:
        while not building.done():
            await asyncio.wait({building}, timeout=_LOOK_SECONDS)
            if not building.done():
                silences = 0 if await database.healthy() else silences + 1
                if silences == _MOST_SILENCES:
                    raise IndexUnavailableError("it is silent while a graph is built")
        await building
    finally:
        building.cancel()
        await asyncio.wait({building})


async def _build_once(database: Database, column: VectorColumn, items: int) -> None:
    # The URL of the embedded database leads to this machine.
    resources = choose(items, column.dimensions) if database.embedded else None
    try:
        async with await BoundedConnection.connect(
            database.url, autocommit=True, prepare_threshold=None, **TRANSPORT
        ) as connection:
            pooled = await behind_pooler(connection)
            if await _is_ours(connection, column, pooled=pooled) and not await exists(connection, column):
                with connection.budget(math.inf):
                    await _build(connection, column, resources, pooled=pooled)
    except psycopg.OperationalError as error:
        raise IndexUnavailableError(str(error).strip()) from error


async def _is_ours(connection: AsyncConnection, column: VectorColumn, *, pooled: bool) -> bool:
    """Tell whether no other process builds the graph, and keep it so as long as the connection lives.

    Behind a pooler no lock can be kept. Of two that begin in the same moment the second is then refused by
    PostgreSQL, because the name is taken.
    """
    if not pooled:
        lock = "SELECT pg_try_advisory_lock(%s, %s)"
        if await (await connection.execute(lock, [_BUILD_LOCK, column.lock])).fetchone() != (True,):
            return False
    return await progress(connection, column, 1) is None


async def _build(
    connection: AsyncConnection, column: VectorColumn, resources: BuildResources | None, *, pooled: bool
) -> None:
    """Build the graph; one whose building was cut short, which PostgreSQL does not use, is dropped first."""
    if not pooled:
        await connection.execute("SET statement_timeout = 0")
        await apply(connection, resources)
    logger.info("building the graph of %s with %s", column.relation, resources or "its own settings")
    await _drop(connection, column)
    try:
        await _create(connection, column)
    except (psycopg.errors.DiskFull, psycopg.errors.OutOfMemory):
        # Most likely the small shared memory of a container, which is a file system of its own.
        await _drop(connection, column)
        if pooled:
            raise
        await alone(connection)
        await _create(connection, column)
    await connection.execute(sql.SQL("ANALYZE {}").format(column.table))
    logger.info("the graph of %s is ready", column.relation)


async def _drop(connection: AsyncConnection, column: VectorColumn) -> None:
    await connection.execute(
        sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS infomax.{}").format(sql.Identifier(column.graph))
    )


async def _create(connection: AsyncConnection, column: VectorColumn) -> None:
    await connection.execute(
        sql.SQL(
            "CREATE INDEX CONCURRENTLY {} ON {} USING hnsw ({} halfvec_ip_ops) WITH (ef_construction = {})"
        ).format(
            sql.Identifier(column.graph),
            column.table,
            half_precision(column, sql.Identifier(column.column)),
            sql.Literal(_BUILD_BREADTH),
        )
    )


async def _is_valid(connection: AsyncConnection, column: VectorColumn) -> bool | None:
    cursor = await connection.execute(
        "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", [f"infomax.{column.graph}"]
    )
    row = await cursor.fetchone()
    return None if row is None else bool(row[0])
