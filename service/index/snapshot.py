"""Several statements that see the database as of one moment."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from psycopg import AsyncConnection


@asynccontextmanager
async def snapshot(connection: AsyncConnection) -> AsyncIterator[None]:
    """Let all reads in here see what was committed when the first of them began; writes are refused.

    A transaction keeps its connection to the server also behind a pooler.
    """
    async with connection.transaction():
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield
