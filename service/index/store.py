"""The index of one model version: put, get, delete, search."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from contract.card import ModelCard
from contract.precision import Precision
from service import tracing
from service.index import bulk, queries
from service.index.cell_rows import ItemCells, read_cells, write_cells
from service.index.connection import BoundedConnection
from service.index.database import Database
from service.index.errors import IndexUnavailableError
from service.index.filters import Condition
from service.index.items import (
    IndexStatistics,
    ListedItem,
    Neighbour,
    NewItem,
    SpaceStatistics,
    StoredItem,
    StoredPicture,
)
from service.index.plane import SampledItem
from service.index.recall_sample import RecallSample
from service.index.region_search import RegionHits, find_region
from service.index.region_statements import RegionQuery
from service.index.search import Query, SearchMemory, find
from service.index.space import Space, find_or_create, identity_of, keep_cells
from service.index.upkeep import Upkeep
from service.metrics import INDEX_SEARCH_SECONDS, NEIGHBOUR_DISTANCE

# Of which a sample may read each.
_MOST_READ_ROWS = 100_000
# Rows drawn for one that is kept, so that chance leaves enough.
_SAMPLE_MARGIN = 2.0


class Index:
    """Items of one model version in one PostgreSQL database that `schema.migrate` has prepared.

    The caller opens and closes the database; several indexes share its connections.

    Items of other model versions live in the same database and are never seen from here. Every method
    that talks to the database raises `IndexUnavailableError` while it does not answer.
    """

    def __init__(
        self,
        database: Database,
        card: ModelCard,
        exact_items: int,
        name: str = "",
        precision: Precision = "fp32",
        *,
        regions: bool = False,
    ) -> None:
        """Connect to nothing yet.

        Args:
            database: where the items are.
            card: of the model version.
            exact_items: how many items are searched one by one, before a graph is built.
            name: what the metrics call the model; its own name unless given.
            precision: of the encoder whose vectors these are.
            regions: whether items may have cells, by which parts of images are found.
        """
        self._card = card
        self._identity = identity_of(card, precision)
        self._database = database
        self._space: Space | None = None
        self._memory = SearchMemory()
        self._nearest = NEIGHBOUR_DISTANCE.labels(card.id)
        self._units = card.shapes.critic_units if regions else None
        recall = RecallSample(self._memory, name or card.name)
        self._upkeep = Upkeep(database, self._connection, exact_items, name or card.name, recall, self._units)

    @property
    def dimensions(self) -> int:
        """Length of the vectors."""
        return self._identity.dimensions

    def start(self) -> None:
        """Begin with the upkeep; the database need not be there yet."""
        self._upkeep.start()

    async def stop(self) -> None:
        """End the upkeep."""
        await self._upkeep.stop()

    async def maintain(self) -> None:
        """Do the upkeep now; on return what this server had to do is done."""
        await self._upkeep.run_once()

    async def put(self, items: Sequence[NewItem]) -> None:
        """Store items, replacing those of the same ids; on return they are on the disk, all of them.

        Where one call holds an id twice, the later item stays. An item with a time of its own (`updated`)
        does not replace one of a later time.
        """
        latest = {item.id: item for item in items}
        if not latest:
            return
        async with self._connection("put", writes=True) as (connection, space):
            # In one order everywhere, or two calls with common ids could wait for each other's rows.
            first, *others = new = [latest[item_id] for item_id in sorted(latest)]
            if others or first.updated is not None:
                await bulk.replace(connection, space, new, keep_later=True)
            else:
                await bulk.replace_one(connection, space, first)

    async def put_cells(self, items: Sequence[NewItem]) -> None:
        """Store the cells of items that are stored already; those of another time (`updated`) are left out.

        Only for an index with regions.
        """
        async with (
            self._connection("put_cells", writes=True) as (connection, space),
            connection.transaction(),
        ):
            await write_cells(connection, space, await bulk.unchanged(connection, space, items))

    async def get(self, item_id: str) -> StoredItem | None:
        """The item of that id, or None."""
        async with self._connection("get") as (connection, space):
            cursor = await connection.execute(queries.GET.format(**space.names), [item_id], binary=True)
            row = await cursor.fetchone()
        if row is None:
            return None
        vector, metadata, width, height, image_format, updated = row
        return StoredItem(item_id, vector.to_numpy(), metadata, width, height, image_format, updated)

    async def vectors(self, item_ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """The vectors [D] of these items, by id; items that do not exist are left out."""
        if not item_ids:
            return {}
        async with self._connection("vectors") as (connection, space):
            statement = queries.VECTORS.format(**space.names)
            cursor = await connection.execute(statement, [list(item_ids)], binary=True)
            return {item_id: vector.to_numpy() for item_id, vector in await cursor.fetchall()}

    async def pictures(self, item_ids: Sequence[str]) -> dict[str, StoredPicture]:
        """What is kept of the images of these items, by id; items that do not exist are left out."""
        async with self._connection("pictures") as (connection, space):
            statement = queries.PICTURES.format(**space.names)
            cursor = await connection.execute(statement, [list(item_ids)], binary=True)
            return {row[0]: StoredPicture(*row) for row in await cursor.fetchall()}

    async def delete(self, item_id: str) -> bool:
        """Remove the item of that id; False where there was none."""
        async with self._connection("delete", writes=True) as (connection, space):
            cursor = await connection.execute(queries.DELETE.format(**space.names), [item_id])
            return cursor.rowcount == 1

    async def list_items(
        self, prefix: str, after: str, limit: int, condition: Condition | None = None
    ) -> list[ListedItem]:
        """Items whose ids begin with `prefix` and stand behind `after`, by id as bytes, at most `limit`.

        With a condition only those that meet it.
        """
        clause, more = (condition.clause, condition.values) if condition else (sql.SQL("true"), {})
        async with self._connection("list") as (connection, space):
            values = {"prefix": prefix, "after": after, "limit": limit, **more}
            cursor = await connection.execute(queries.LIST.format(**space.names, condition=clause), values)
            return [ListedItem(*row) for row in await cursor.fetchall()]

    async def sample(self, limit: int) -> tuple[list[SampledItem], int]:
        """Some items drawn by chance, at most `limit` and always the same ones, and how many there are."""
        async with self._connection("sample") as (connection, space):
            row = await (await connection.execute(queries.ITEM_COUNTS.read, [space.number])).fetchone()
            total = max(0, int(row[0])) if row else 0
            # Rows of a page were stored together: pages are drawn where it would take long to read all.
            method = sql.SQL("SYSTEM" if total > _MOST_READ_ROWS else "BERNOULLI")
            statement = queries.SAMPLE.format(**space.names, method=method)
            values = {"percent": min(100.0, 100.0 * _SAMPLE_MARGIN * limit / max(1, total)), "limit": limit}
            cursor = await connection.execute(statement, values, binary=True)
            rows = await cursor.fetchall()
        items = [SampledItem(name, known, kept, vector.to_numpy()) for name, known, kept, vector in rows]
        return items, max(total, len(items))

    async def delete_all(self, prefix: str) -> int:
        """Remove the items whose ids begin with `prefix`; how many there were."""
        async with self._connection("delete_all", writes=True) as (connection, space):
            cursor = await connection.execute(queries.DELETE_ALL.format(**space.names), {"prefix": prefix})
            return cursor.rowcount

    async def search(self, query: Query) -> list[Neighbour]:
        """The k items with the highest cosine similarity to a vector, best first, equal ones by id."""
        with INDEX_SEARCH_SECONDS.time():
            async with self._connection("search") as (connection, space):
                hits = await find(connection, space, query, self._memory)
        if hits:
            self._nearest.observe(1 - hits[0].score)
        return hits

    async def search_region(self, query: RegionQuery) -> RegionHits:
        """The k items that hold what is most like a region, best first, equal ones by id.

        Only for an index with regions.
        """
        with INDEX_SEARCH_SECONDS.time():
            async with self._connection("search_region") as (connection, space):
                return await find_region(connection, space, self._card, query)

    async def cells(self, item_id: str) -> ItemCells | None:
        """The cells of an item; None where it has none. Only for an index with regions."""
        async with self._connection("cells") as (connection, space):
            found = await read_cells(connection, space, self._card.shapes.critic_units, [item_id])
        return found[0] if found else None

    async def statistics(self) -> IndexStatistics:
        """What the database holds, for this and every other model version."""
        async with self._connection("statistics") as (connection, _):
            spaces = await (await connection.execute(queries.STATISTICS)).fetchall()
            versions = await (await connection.execute(queries.VERSIONS)).fetchone()
        assert versions is not None  # noqa: S101 (the migrations made the extension)
        return IndexStatistics(
            postgresql=versions[0],
            pgvector=versions[1],
            spaces=tuple(SpaceStatistics(*space) for space in spaces),
        )

    @asynccontextmanager
    async def _connection(
        self, operation: str = "upkeep", *, writes: bool = False
    ) -> AsyncIterator[tuple[BoundedConnection, Space]]:
        with tracing.database(operation):
            async with self._database.connection(writes=writes) as connection:
                if self._space is None:
                    self._space = await self._open_space(connection)
                try:
                    yield connection, self._space
                except psycopg.errors.UndefinedTable as error:
                    # `infomax index drop` while this version is served: the next call makes the space anew.
                    self._space = None
                    self._memory.forget()
                    raise IndexUnavailableError("its space was dropped") from error

    async def _open_space(self, connection: BoundedConnection) -> Space:
        space = await find_or_create(connection, self._identity)
        if self._units is not None:
            await keep_cells(connection, space, self._units)
        return space
