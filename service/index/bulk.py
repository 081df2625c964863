"""Many items into a table by COPY, in PostgreSQL's binary format: several times as fast as INSERT.

COPY cannot replace rows, so the older ones of the same ids are locked and removed in the same transaction.
"""

import struct
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import orjson
from numpy.typing import NDArray
from psycopg import AsyncConnection, errors, sql
from psycopg.types.json import Jsonb

from service.index import queries
from service.index.binary_copy import copy_rows
from service.index.cell_rows import ids_with_cells, write_cells
from service.index.items import NewItem
from service.index.space import Space

# How often another writer of the same ids may stand in the way.
_TRIES = 8

_COLUMNS = sql.SQL(
    "space, id, embedding, code, metadata, width, height, format, thumbnail, original, original_sha256"
)
_COLUMN_COUNT = 11
# A column that is left out gets the time of the transaction.
_STAMPED_COLUMNS = sql.SQL("{}, updated").format(_COLUMNS)
_ROW = struct.Struct("!hii i")
_LENGTH = struct.Struct("!i")
_INTEGER = struct.Struct("!ii")
_TIME = struct.Struct("!iq")
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# Of pgvector: length of the value in bytes, number of dimensions, an unused number.
_VECTOR = struct.Struct("!ihh")
_NULL = _LENGTH.pack(-1)
_JSONB_VERSION = b"\x01"


async def replace(
    connection: AsyncConnection, space: Space, items: Sequence[NewItem], *, keep_later: bool = False
) -> None:
    """Store items of different ids, sorted by them, in place of older ones; all of them or none.

    Args:
        connection: to the database.
        space: of the items.
        items: to be stored.
        keep_later: leave out items with a time of their own where there is one of a later time.

    Raises:
        psycopg.Error: the database refuses an item, or other writers of the same ids come first too often.
    """
    for attempt in range(_TRIES):
        try:
            async with connection.transaction():
                if attempt == 0 or (keep_later and items[0].updated is not None):
                    await write_cells(connection, space, await _copy(connection, space, items, keep_later))
                else:
                    await _upsert(connection, space, items)
                    await write_cells(connection, space, items)
            return
        except (errors.UniqueViolation, errors.DeadlockDetected):
            if attempt == _TRIES - 1:
                raise


async def replace_one(connection: AsyncConnection, space: Space, item: NewItem) -> None:
    """Store one item in place of an older one.

    Raises:
        psycopg.Error: the database refuses it.
    """
    statement = queries.PUT.format(**space.names)
    if item.cells is None:
        await connection.execute(statement, item_values(item))
        return
    async with connection.transaction():
        await connection.execute(statement, item_values(item))
        await write_cells(connection, space, [item])


async def _copy(
    connection: AsyncConnection, space: Space, items: Sequence[NewItem], keep_later: bool
) -> Sequence[NewItem]:
    """Remove what there is under the ids, and copy the items; return those that were not left out.

    An item whose cells may have to stay is updated instead: those of what is removed go too.

    Raises:
        psycopg.errors.UniqueViolation: another writer has stored one of the ids meanwhile.
    """
    older = await _locked(connection, space, items)
    if keep_later:
        items = [one for one in items if not _is_late(one, older.get(one.id))]
    copied = items
    if older:
        uncut = [one.id for one in items if one.cells is None and one.width is not None and one.id in older]
        updated = await ids_with_cells(connection, space, uncut)
        await _upsert(connection, space, [one for one in items if one.id in updated])
        copied = [one for one in items if one.id not in updated]
        removed = [one.id for one in copied if one.id in older]
        await connection.execute(queries.DELETE_MANY.format(**space.names), [removed])
    if copied:
        columns = _COLUMNS if copied[0].updated is None else _STAMPED_COLUMNS
        statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(space.table, columns)
        await copy_rows(connection, statement, _rows(space.number, copied))
    return items


async def unchanged(connection: AsyncConnection, space: Space, items: Sequence[NewItem]) -> Sequence[NewItem]:
    """Return the items that are stored with this very time (`updated`); they stay so in this transaction."""
    stored = await _locked(connection, space, items)
    return [one for one in items if one.updated is not None and stored.get(one.id) == one.updated]


async def _locked(connection: AsyncConnection, space: Space, items: Sequence[NewItem]) -> dict[str, datetime]:
    """Lock what is stored under the ids of the items; return its times."""
    lock, ids = queries.LOCK.format(**space.names), [item.id for item in items]
    rows = await (await connection.execute(lock, [ids], binary=True)).fetchall()
    times: dict[str, datetime] = dict(rows)
    return times


def _is_late(item: NewItem, stored: datetime | None) -> bool:
    """Whether what is stored under its id is of a later time than the item's own."""
    return item.updated is not None and stored is not None and stored > item.updated


async def _upsert(connection: AsyncConnection, space: Space, items: Sequence[NewItem]) -> None:
    """Store the items one by one: slower, and in no writer's way for long."""
    if not items:
        return
    statement = queries.PUT.format(**space.names)
    async with connection.cursor() as cursor:
        await cursor.executemany(statement, [item_values(item) for item in items])


def item_values(item: NewItem) -> list[object]:
    """The values of `queries.PUT`."""
    return [
        item.id,
        item.vector,
        item.code,
        Jsonb(item.metadata),
        item.width,
        item.height,
        item.format,
        item.thumbnail,
        item.original,
        item.original_sha256,
        item.updated,
    ]


def _rows(space: int, items: Sequence[NewItem]) -> Iterator[bytes]:
    vectors = _vectors([item.vector for item in items])
    codes = _vectors([item.code for item in items])
    for item, vector, code in zip(items, vectors, codes, strict=True):
        name = item.id.encode()
        metadata = orjson.dumps(item.metadata)
        yield b"".join(
            (
                _ROW.pack(_COLUMN_COUNT + (item.updated is not None), 4, space, len(name)),
                name,
                vector,
                code,
                _LENGTH.pack(len(metadata) + 1),
                _JSONB_VERSION,
                metadata,
                _integer(item.width),
                _integer(item.height),
                _bytes(None if item.format is None else item.format.encode()),
                _bytes(item.thumbnail),
                _bytes(item.original),
                _bytes(item.original_sha256),
                b"" if item.updated is None else _TIME.pack(8, (item.updated - _EPOCH) // _MICROSECOND),
            )
        )


def _vectors(vectors: Sequence[NDArray[np.float32] | None]) -> Iterator[bytes]:
    """Each vector as a field; the numbers of all of them are turned into network order at once."""
    present = [vector for vector in vectors if vector is not None]
    numbers = memoryview(np.concatenate(present).astype(">f4").tobytes() if present else b"")
    start = 0
    for vector in vectors:
        if vector is None:
            yield _NULL
            continue
        size = 4 * len(vector)
        yield _VECTOR.pack(size + 4, len(vector), 0) + numbers[start : start + size]
        start += size


def _integer(value: int | None) -> bytes:
    return _NULL if value is None else _INTEGER.pack(4, value)


def _bytes(value: bytes | None) -> bytes:
    return _NULL if value is None else _LENGTH.pack(len(value)) + value
