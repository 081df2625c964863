"""Items of a file into a space that holds items: what the file lacks of the same image stays.

An equal vector is taken to be of the same image. Its thumbnail, original and cells, which a file may lack,
are worth as much as before.
"""

from collections.abc import Sequence

import numpy as np
from psycopg import AsyncConnection, sql
from psycopg.types.json import Jsonb

from service.index import bulk
from service.index.cell_rows import ids_with_cells
from service.index.items import NewItem
from service.index.space import Space

# In the order of their ids, as every other writer does.
_LOCK = sql.SQL("""
SELECT id, embedding FROM {table} WHERE space = {space} AND id = ANY (%s) ORDER BY id FOR UPDATE
""")
# An image that is as it was is not written again: the graph would get it once more.
_COMPLETE = sql.SQL("""
WITH new AS (
    SELECT id,
           coalesce(%(updated)s::timestamptz, updated) AS updated,
           %(metadata)s::jsonb AS metadata,
           coalesce(%(code)s::vector, code) AS code,
           coalesce(%(width)s::integer, width) AS width,
           coalesce(%(height)s::integer, height) AS height,
           coalesce(%(format)s::text, format) AS format,
           coalesce(%(thumbnail)s::bytea, thumbnail) AS thumbnail,
           CASE WHEN %(digest)s::bytea IS NULL THEN original ELSE %(original)s::bytea END AS original,
           coalesce(%(digest)s::bytea, original_sha256) AS original_sha256
    FROM {table} WHERE space = {space} AND id = %(id)s
)
UPDATE {table} AS item SET
    updated = new.updated, metadata = new.metadata, code = new.code, width = new.width, height = new.height,
    format = new.format, thumbnail = new.thumbnail, original = new.original,
    original_sha256 = new.original_sha256
FROM new WHERE item.space = {space} AND item.id = %(id)s AND (
    item.updated, item.metadata, item.code, item.width, item.height, item.format, item.original_sha256,
    item.thumbnail, item.original
) IS DISTINCT FROM (
    new.updated, new.metadata, new.code, new.width, new.height, new.format, new.original_sha256,
    new.thumbnail, new.original
)
""")


async def merge(connection: AsyncConnection, space: Space, items: Sequence[NewItem]) -> int:
    """Store items of different ids, sorted by them; all of them or none.

    An older item with the same vector keeps what the new one lacks. One with another vector is replaced as a
    whole.

    Returns:
        Number of items that had cells and have another vector now, and so no cells.

    Raises:
        psycopg.Error: as `bulk.replace`.
    """
    async with connection.transaction():
        cursor = await connection.execute(
            _LOCK.format(**space.names), [[item.id for item in items]], binary=True
        )
        older = {item_id: vector.to_numpy() for item_id, vector in await cursor.fetchall()}
        same = {item.id for item in items if item.id in older and np.array_equal(older[item.id], item.vector)}
        changed = await ids_with_cells(connection, space, [*older.keys() - same])
        await _complete(connection, space, [item for item in items if item.id in same])
        others = [item for item in items if item.id not in same]
        if others:
            await bulk.replace(connection, space, others)
    return len(changed)


async def _complete(connection: AsyncConnection, space: Space, items: Sequence[NewItem]) -> None:
    if not items:
        return
    async with connection.cursor() as cursor:
        await cursor.executemany(_COMPLETE.format(**space.names), [_values(item) for item in items])


def _values(item: NewItem) -> dict[str, object]:
    return {
        "id": item.id,
        "updated": item.updated,
        "metadata": Jsonb(item.metadata),
        "code": item.code,
        "width": item.width,
        "height": item.height,
        "format": item.format,
        "thumbnail": item.thumbnail,
        "original": item.original,
        "digest": item.original_sha256,
    }
