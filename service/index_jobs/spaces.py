"""Spaces of an index: listed, chosen by number or model, dropped."""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import AsyncConnection, sql

from service.index import queries
from service.index.items import SpaceStatistics
from service.index.schema import SCHEMA_LOCK
from service.index.space import ModelIdentity, Space
from service.index_jobs.access import IndexJobError

_DIGEST_SHOWN = 12

_CONTENT = sql.SQL("""
SELECT count(*) FILTER (WHERE thumbnail IS NOT NULL), count(*) FILTER (WHERE original_sha256 IS NOT NULL),
       count(*) FILTER (WHERE width IS NULL)
FROM {table}
""")


@dataclass(frozen=True)
class ListedSpace:
    """One space.

    Attributes:
        number: by which commands name it.
        identity: what makes its vectors.
        statistics: as `GET /v1/index` answers them.
    """

    number: int
    identity: ModelIdentity
    statistics: SpaceStatistics

    @property
    def space(self) -> Space:
        return Space(self.number, self.identity.dimensions)

    @property
    def name(self) -> str:
        """Name of the space in messages."""
        return f"space {self.number} ({self.identity.model}, {self.statistics.items:,} items)"


@dataclass(frozen=True)
class SpaceContent:
    """What is kept beside the vectors of a space, in numbers of items.

    Attributes:
        thumbnails: with a thumbnail.
        originals: with an original, in the database or in a folder.
        bare_vectors: without an image.
    """

    thumbnails: int
    originals: int
    bare_vectors: int


async def list_spaces(connection: AsyncConnection) -> list[ListedSpace]:
    """List all spaces, by number."""
    numbers = await (await connection.execute("SELECT number FROM infomax.spaces ORDER BY number")).fetchall()
    rows = await (await connection.execute(queries.STATISTICS)).fetchall()
    spaces = []
    for (number,), row in zip(numbers, rows, strict=True):
        statistics = SpaceStatistics(*row)
        identity = ModelIdentity(
            statistics.model,
            statistics.preprocessing_sha256,
            statistics.encoder_sha256,
            statistics.dimensions,
        )
        spaces.append(ListedSpace(number, identity, statistics))
    return spaces


def choose_space(spaces: Sequence[ListedSpace], wanted: str | None, option: str = "--space") -> ListedSpace:
    """Choose by number or by model; without either, the one space that holds items.

    Args:
        spaces: to choose from.
        wanted: number or model.
        option: that chooses, for the message.

    Raises:
        IndexJobError: there is no such space, or more than one.
    """
    if wanted is None:
        found = [one for one in spaces if one.statistics.items]
    else:
        found = [one for one in spaces if wanted in (str(one.number), one.identity.model)]
    if len(found) == 1:
        return found[0]
    present = ", ".join(one.name for one in spaces) or "no space"
    if found:
        which = "holds items in several spaces" if wanted is None else f"has several spaces of {wanted}"
        raise IndexJobError(f"The index {which}: {present}. Choose one by {option} NUMBER.")
    if wanted is None:
        raise IndexJobError("The index holds no items. Check --data-dir or --database-url.")
    raise IndexJobError(f"The index has no space {wanted}. It has {present}.")


async def content_of(connection: AsyncConnection, space: Space) -> SpaceContent:
    """Count what is kept beside the vectors; this reads the whole table."""
    row = await (await connection.execute(_CONTENT.format(table=space.table))).fetchone()
    assert row is not None  # noqa: S101 (an aggregate always has one)
    return SpaceContent(*row)


async def drop_space(connection: AsyncConnection, space: Space) -> None:
    """Remove a space with its items, its graph and its counts; all of it or nothing."""
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", [SCHEMA_LOCK])
        for table in (space.cells_table, space.table):
            await connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(table))
        await connection.execute("DELETE FROM infomax.cell_counts WHERE space = %s", [space.number])
        await connection.execute("DELETE FROM infomax.item_counts WHERE space = %s", [space.number])
        await connection.execute("DELETE FROM infomax.spaces WHERE number = %s", [space.number])


def described(identity: ModelIdentity) -> str:
    """Describe what makes vectors, as briefly as tells two apart."""
    return (
        f"{identity.model} with encoder {identity.encoder_sha256[:_DIGEST_SHOWN]}, "
        f"preprocessing {identity.preprocessing_sha256[:_DIGEST_SHOWN]} and "
        f"{identity.dimensions} dimensions"
    )
