"""Poolers between the service and PostgreSQL, such as PgBouncer.

One that lends a server's connection for a transaction keeps nothing of a session: a setting or a lock would
stay with a connection that the next client gets, and the client's own next statement may go to another.
"""

from psycopg import AsyncConnection


async def behind_pooler(connection: AsyncConnection) -> bool:
    """Tell whether a pooler answers: the process that it names is not the one that runs statements."""
    row = await (await connection.execute("SELECT pg_backend_pid()")).fetchone()
    return row is None or row[0] != connection.info.backend_pid
