"""Rows into a table by COPY, in PostgreSQL's binary format ("Binary Format" of COPY in its manual)."""

import struct
from collections.abc import Iterable

from psycopg import AsyncConnection, sql

_PIECE_BYTES = 2**18
_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = struct.pack("!h", -1)


async def copy_rows(connection: AsyncConnection, statement: sql.Composed, rows: Iterable[bytes]) -> None:
    """Run a `COPY ... FROM STDIN (FORMAT binary)` with rows, each its number of fields and the fields.

    Raises:
        psycopg.Error: the database refuses a row; none is stored then.
    """
    content = b"".join([_HEADER, *rows, _TRAILER])
    async with connection.cursor().copy(statement) as target:
        for start in range(0, len(content), _PIECE_BYTES):
            await target.write(content[start : start + _PIECE_BYTES])
