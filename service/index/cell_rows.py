"""Rows of cells: written in the transaction of their item, by COPY in PostgreSQL's binary format."""

import struct
from collections.abc import Iterator, Sequence

from psycopg import AsyncConnection, sql

from service.index.binary_copy import copy_rows
from service.index.items import NewItem
from service.index.space import Space

# Number of columns, then each with its length before it: space, id.
_SPACE = struct.Struct("!hii i")
# Cell, then the length of a vector, its dimensions and an unused number.
_CELL = struct.Struct("!ih ihh")
_FORGET = sql.SQL("DELETE FROM {table} WHERE space = {space} AND id = ANY (%s)")
_COPY = sql.SQL("COPY {table} (space, id, cell, local) FROM STDIN (FORMAT binary)")


async def write_cells(connection: AsyncConnection, space: Space, items: Sequence[NewItem]) -> None:
    """Write the cells of items that this transaction has stored, in place of older ones.

    Those of items that are stored without cells are removed by a trigger.
    """
    cut = [item for item in items if item.cells is not None]
    if not cut:
        return
    names = {"table": space.cells_table, "space": sql.Literal(space.number)}
    await connection.execute(_FORGET.format(**names), [[item.id for item in cut]])
    await copy_rows(connection, _COPY.format(**names), _rows(space.number, cut))


def _rows(space: int, items: Sequence[NewItem]) -> Iterator[bytes]:
    for item in items:
        if item.cells is None:
            continue
        name = item.id.encode()
        head = _SPACE.pack(4, 4, space, len(name)) + name
        units = item.cells.shape[1]
        numbers = memoryview(item.cells.astype(">f2").tobytes())
        for cell in range(len(item.cells)):
            start = 2 * units * cell
            yield head + _CELL.pack(2, cell, 2 * units + 4, units, 0) + numbers[start : start + 2 * units]
