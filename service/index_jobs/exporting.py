"""Export of a space to a Parquet file, in bounded memory and as of one moment."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from pgvector import Vector
from psycopg import AsyncConnection, sql

from contract.progress import Progress
from service.index.items import Metadata, NewItem
from service.index.originals import OriginalsFolder
from service.index.snapshot import snapshot
from service.index_jobs.access import IndexJobError
from service.index_jobs.byte_groups import byte_groups
from service.index_jobs.item_table import batch_of, schema_of
from service.index_jobs.spaces import ListedSpace
from service.inputs.names import shown_path

_ROWS_FETCHED = 500
# A group of rows is held as a whole, by the one who writes and by the one who reads.
_GROUP_ROWS = 8192
_GROUP_BYTES = 64 * 2**20

# The index of ids is that of (space, id).
_ROWS = sql.SQL("""
SELECT id, embedding, metadata, code, width, height, format, {thumbnail}, original_sha256,
       updated, octet_length(original) FROM {table} WHERE space = {space} ORDER BY id
""")
_ORIGINALS = sql.SQL("SELECT id, original FROM {table} WHERE space = {space} AND id = ANY (%s)")


class _ExportRow(NamedTuple):
    """Row of `_ROWS`."""

    id: str
    vector: Vector
    metadata: Metadata
    code: Vector | None
    width: int | None
    height: int | None
    format: str | None
    thumbnail: bytes | None
    original_sha256: bytes | None
    updated: datetime
    stored_bytes: int | None


@dataclass
class Exported:
    """What an export holds.

    Attributes:
        items: rows.
        originals: rows with an original.
        missing: rows whose original is named and gone from the folder.
    """

    items: int = 0
    originals: int = 0
    missing: int = 0


class ExportFile:
    """Parquet file that appears whole under its name, in row groups of bounded size."""

    def __init__(self, path: Path, schema: pa.Schema, *, overwrite: bool) -> None:
        """Begin beside the name.

        Raises:
            IndexJobError: there is a file under the name.
        """
        if path.exists() and not overwrite:
            raise IndexJobError(
                f"{shown_path(path)} exists. Choose another name, or pass --overwrite to replace it."
            )
        self._path = path
        self._partial = path.with_name(f"{path.name}.partial")
        self._schema = schema
        self._sink = self._partial.open("wb")
        self._writer = pq.ParquetWriter(self._sink, schema)
        self._waiting: list[pa.RecordBatch] = []

    def write(self, batch: pa.RecordBatch) -> None:
        """Append rows."""
        self._waiting.append(batch)
        rows, size = (sum(getattr(one, name) for one in self._waiting) for name in ("num_rows", "nbytes"))
        if rows >= _GROUP_ROWS or size >= _GROUP_BYTES:
            self._write_group()

    def finish(self) -> None:
        """Put the complete file under its name, on the disk."""
        self._write_group()
        self._writer.close()
        self._sink.flush()
        os.fsync(self._sink.fileno())
        self._sink.close()
        self._partial.replace(self._path)

    def discard(self) -> None:
        """Remove an incomplete file."""
        with suppress(OSError):
            self._writer.close()
        with suppress(OSError):
            self._sink.close()
        self._partial.unlink(missing_ok=True)

    def _write_group(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.Table.from_batches(self._waiting, self._schema))
            self._waiting = []


async def export(
    connection: AsyncConnection,
    chosen: ListedSpace,
    path: Path,
    folder: OriginalsFolder,
    progress: Progress,
    *,
    pictures: bool = True,
    overwrite: bool = False,
) -> Exported:
    """Write every item of a space, by id, as they are at the start.

    Args:
        connection: of `connected`.
        chosen: the space.
        path: of the file.
        folder: of originals that are not in the database.
        progress: shows the items.
        pictures: whether thumbnails and originals are written too.
        overwrite: whether a file under that name is replaced.

    Raises:
        IndexJobError: the file exists, or cannot be written.
    """
    reader = _SpaceReader(connection, chosen, folder, pictures=pictures)
    schema = schema_of(chosen.identity)
    try:
        file = ExportFile(path, schema, overwrite=overwrite)
        try:
            async with snapshot(connection):
                async for items in reader.items():
                    file.write(batch_of(items, schema))
                    progress.update(reader.done.items, chosen.statistics.items)
            file.finish()
        except BaseException:
            file.discard()
            raise
    except OSError as error:
        reason = error.strerror or error
        raise IndexJobError(
            f"{shown_path(path)} cannot be written: {reason}. Free or choose a disk."
        ) from error
    return reader.done


class _SpaceReader:
    """Reader of a space's rows, with their originals, a bounded number of bytes at a time."""

    def __init__(
        self, connection: AsyncConnection, chosen: ListedSpace, folder: OriginalsFolder, *, pictures: bool
    ) -> None:
        self.done = Exported()
        self._connection = connection
        self._folder = folder
        self._pictures = pictures
        self._parts = {
            "table": chosen.space.table,
            "space": sql.Literal(chosen.number),
            "thumbnail": sql.SQL("thumbnail" if pictures else "NULL::bytea"),
        }

    async def items(self) -> AsyncIterator[Sequence[NewItem]]:
        """Read items in groups whose originals are of bounded size together."""
        async with psycopg.AsyncServerCursor(self._connection, "infomax_export") as cursor:
            await cursor.execute(_ROWS.format(**self._parts), binary=True)
            while rows := await cursor.fetchmany(_ROWS_FETCHED):
                for group in byte_groups([_ExportRow(*row) for row in rows], _GROUP_BYTES):
                    items = await self._with_originals([_item(row) for row in group])
                    self.done.items += len(items)
                    yield items

    async def _with_originals(self, items: Sequence[NewItem]) -> Sequence[NewItem]:
        if not self._pictures:
            return [replace(item, original_sha256=None) for item in items]
        named = [item.id for item in items if item.original_sha256 is not None]
        if not named:
            return items
        cursor = await self._connection.execute(_ORIGINALS.format(**self._parts), [named], binary=True)
        kept: dict[str, Any] = dict(await cursor.fetchall())
        return [self._with_original(item, kept.get(item.id)) for item in items]

    def _with_original(self, item: NewItem, original: bytes | None) -> NewItem:
        if item.original_sha256 is None:
            return item
        if original is None:
            original = self._folder.read(item.original_sha256)
        if original is None:
            self.done.missing += 1
            return replace(item, original_sha256=None)
        self.done.originals += 1
        return replace(item, original=original)


def _item(row: _ExportRow) -> NewItem:
    return NewItem(
        row.id,
        row.vector.to_numpy(),
        row.metadata,
        None if row.code is None else row.code.to_numpy(),
        row.width,
        row.height,
        row.format,
        row.thumbnail,
        None,
        row.original_sha256,
        row.updated,
    )
