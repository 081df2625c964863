"""Images of an old space that a new one lacks, or has as they were before."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from psycopg import AsyncConnection, sql

from service.index.items import Metadata
from service.index.originals import OriginalsFolder
from service.index.space import Space
from service.index_jobs.byte_groups import byte_groups
from service.inference.results import Failed
from service.settings import Settings

_ROWS_FETCHED = 200
_GROUP_BYTES = 16 * 2**20

_COUNT = sql.SQL("SELECT count(*) FROM {old} AS old WHERE {left}")
_PAGE = sql.SQL("""
SELECT id, metadata, updated, octet_length(original), original_sha256, width, {left}
FROM {old} AS old WHERE space = {old_space} AND id > %s ORDER BY id LIMIT {rows}
""")
# Values, and not EXISTS, are looked up by the primary key: the planner knows little of a table that is being
# filled, and could read all of it for each page.
_LACKING = sql.SQL("""
coalesce((SELECT new.updated FROM {new} AS new WHERE new.space = {new_space} AND new.id = old.id)
         < old.updated, true)
""")
_UNCUT = sql.SQL("""
(old.width IS NOT NULL AND (SELECT cell.cell FROM infomax.cells AS cell
                            WHERE cell.space = {old_space} AND cell.id = old.id LIMIT 1) IS NULL)
""")
_ORIGINALS = sql.SQL("SELECT id, original FROM {old} WHERE space = {old_space} AND id = ANY (%s)")
_KEPT = sql.SQL("""
SELECT EXISTS (SELECT FROM {old} WHERE original IS NOT NULL),
       EXISTS (SELECT FROM {old} WHERE original_sha256 IS NOT NULL)
""")
_PRUNE = sql.SQL("""
DELETE FROM {new} AS new WHERE NOT EXISTS (
    SELECT FROM {old} AS old WHERE old.space = {old_space} AND old.id = new.id
)
""")


class _OldRow(NamedTuple):
    """Row of `_PAGE`."""

    id: str
    metadata: Metadata
    updated: datetime
    stored_bytes: int | None
    original_sha256: bytes | None
    width: int | None
    is_left: bool


@dataclass(frozen=True)
class OldImage:
    """One item of the old space.

    Attributes:
        id, metadata, updated: as stored.
        content: the original, or why there is none.
    """

    id: str
    metadata: Metadata
    updated: datetime
    content: bytes | Failed


class OldImages:
    """Reader of what a new space lacks of an old one; of the images without cells where both are the same."""

    def __init__(self, connection: AsyncConnection, old: Space, new: Space, settings: Settings) -> None:
        self._connection = connection
        self._folder = OriginalsFolder(settings.originals_folder)
        self._originals = settings.originals
        self._parts: dict[str, sql.Composable] = {
            "old": old.table,
            "new": new.table,
            "old_space": sql.Literal(old.number),
            "new_space": sql.Literal(new.number),
            "rows": sql.Literal(_ROWS_FETCHED),
        }
        self._parts["left"] = (_UNCUT if old == new else _LACKING).format(**self._parts)

    async def count(self) -> int:
        """Count the items that are left to do, those without an original included."""
        row = await (await self._connection.execute(_COUNT.format(**self._parts))).fetchone()
        return 0 if row is None else int(row[0])

    async def prune(self) -> int:
        """Remove the items of the new space that the old one has no more; how many there were."""
        return (await self._connection.execute(_PRUNE.format(**self._parts))).rowcount

    async def kept_originals(self) -> Literal["none", "database", "folder"]:
        """Tell where to keep originals: as the settings say, but where they are rather than not at all."""
        if self._originals != "none":
            return self._originals
        row = await (await self._connection.execute(_KEPT.format(**self._parts))).fetchone()
        in_database, somewhere = (False, False) if row is None else row
        return "database" if in_database else "folder" if somewhere else "none"

    async def groups(self) -> AsyncIterator[Sequence[OldImage]]:
        """Read what is left to do, by id, a bounded number of bytes at a time."""
        last = ""
        while True:
            statement = _PAGE.format(**self._parts)
            rows = await (await self._connection.execute(statement, [last], binary=True)).fetchall()
            if not rows:
                return
            last = rows[-1][0]
            for group in byte_groups([one for one in map(_OldRow._make, rows) if one.is_left], _GROUP_BYTES):
                yield await self._read(group)

    async def _read(self, rows: Sequence[_OldRow]) -> Sequence[OldImage]:
        stored = [row.id for row in rows if row.stored_bytes is not None]
        kept: dict[str, bytes] = {}
        if stored:
            statement = _ORIGINALS.format(**self._parts)
            kept = dict(await (await self._connection.execute(statement, [stored], binary=True)).fetchall())
        return [
            OldImage(row.id, row.metadata, row.updated, await self._content(kept.get(row.id), row))
            for row in rows
        ]

    async def _content(self, original: bytes | None, row: _OldRow) -> bytes | Failed:
        if original is None and row.original_sha256 is not None:
            original = await asyncio.to_thread(self._folder.read, row.original_sha256)
        if original is not None:
            return original
        reason = "Its original was not kept."
        if row.width is None:
            reason = "It is a bare vector, without an image."
        elif row.original_sha256 is not None:
            reason = f"Its original is gone from {self._folder.path}."
        return Failed("no_original", f"{reason} Store it again by its image.")
