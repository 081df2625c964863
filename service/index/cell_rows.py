"""Rows of cells: read, and written by COPY in PostgreSQL's binary format in the transaction of their item."""

import asyncio
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg import AsyncConnection, sql

from service.index.binary_copy import copy_rows
from service.index.items import Metadata, NewItem
from service.index.space import Space

# Number of columns, then each with its length before it: space, id.
_SPACE = struct.Struct("!hii i")
# Cell, then the length of a vector, its dimensions and an unused number.
_CELL = struct.Struct("!ih ihh")
_CELL_HEAD_BYTES = 4
_FORGET = sql.SQL("DELETE FROM {table} WHERE space = {space} AND id = ANY (%s)")
_COPY = sql.SQL("COPY {table} (space, id, cell, local) FROM STDIN (FORMAT binary)")
# The whole table, whose partition for a space may be missing.
_WITH_CELLS = sql.SQL("""
SELECT wanted.id FROM unnest(%s::text[]) AS wanted (id)
WHERE EXISTS (SELECT FROM infomax.cells AS cell WHERE cell.space = {space} AND cell.id = wanted.id)
""")
_CELLS_OF = sql.SQL("""
SELECT id, metadata, width, height,
       (SELECT string_agg(halfvec_send(local), ''::bytea ORDER BY cell) FROM {cells} AS cell
        WHERE cell.space = {space} AND cell.id = item.id)
FROM {items} AS item WHERE space = {space} AND id = ANY (%s)
""")


@dataclass(frozen=True)
class ItemCells:
    """An item with its cells.

    Attributes:
        id, metadata: of the item.
        width, height: of its image in pixels, upright.
        cells: float32 [P, U], of length one.
    """

    id: str
    metadata: Metadata
    width: int
    height: int
    cells: NDArray[np.float32]


async def write_cells(connection: AsyncConnection, space: Space, items: Sequence[NewItem]) -> None:
    """Write the cells of items that this transaction has stored, in place of older ones.

    A trigger removes those of items that are stored without cells, unless the image has the same vector.
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


async def ids_with_cells(connection: AsyncConnection, space: Space, ids: Sequence[str]) -> set[str]:
    """Return those of the items that have cells."""
    if not ids:
        return set()
    statement = _WITH_CELLS.format(space=sql.Literal(space.number))
    return {item_id for (item_id,) in await (await connection.execute(statement, [list(ids)])).fetchall()}


async def read_cells(
    connection: AsyncConnection, space: Space, units: int, ids: list[str]
) -> list[ItemCells]:
    """Read items with their cells, of length `units`; items without cells are left out."""
    statement = _CELLS_OF.format(cells=space.cells_table, items=space.table, space=sql.Literal(space.number))
    rows = await (await connection.execute(statement, [ids], binary=True)).fetchall()
    return await asyncio.to_thread(_unpacked, rows, units)


def _unpacked(rows: Sequence[tuple[Any, ...]], units: int) -> list[ItemCells]:
    cut = [row for row in rows if row[-1] is not None]
    if not cut:
        return []
    cells = _vectors(b"".join(row[-1] for row in cut), units)
    ends = np.cumsum([len(row[-1]) for row in cut]) // (_CELL_HEAD_BYTES + 2 * units)
    return [
        ItemCells(item_id, metadata, width, height, one)
        for (item_id, metadata, width, height, _), one in zip(cut, np.split(cells, ends[:-1]), strict=True)
    ]


def _vectors(packed: bytes, units: int) -> NDArray[np.float32]:
    """Unpack cells as pgvector sends them: each its length, an unused number, and halves in network order.

    Halves are off a length of one by up to 5e-4, which would make scores of more than one, and of less for
    what is the same.
    """
    fields = np.frombuffer(packed, ">f2").reshape(-1, _CELL_HEAD_BYTES // 2 + units)
    cells = fields[:, _CELL_HEAD_BYTES // 2 :].astype(np.float32)
    lengths = np.linalg.norm(cells, axis=1, keepdims=True)
    cells /= np.maximum(lengths, np.finfo(np.float32).tiny)
    return cells
