"""Which items belong together: those whose vectors one version of one model made."""

from dataclasses import dataclass

from psycopg import AsyncConnection, sql

from contract.card import ModelCard
from contract.precision import Precision
from service.index.schema import SCHEMA_LOCK


@dataclass(frozen=True)
class ModelIdentity:
    """What two vectors must share to be comparable.

    Attributes:
        model: `name/version`.
        preprocessing_sha256: digest of the rule that turns bytes into pixels.
        encoder_sha256: digest of the weights of the encoder that runs. A model exported anew under an old
            version does not mix its vectors with the old ones, nor int8 with fp32. Those two are close (the
            card says how close). Mixed, an image is no longer its own nearest neighbour with score 1, and
            the order of neighbours depends on the server that embedded them.
        dimensions: length of the embedding.
    """

    model: str
    preprocessing_sha256: str
    encoder_sha256: str
    dimensions: int


def identity_of(card: ModelCard, precision: Precision = "fp32") -> ModelIdentity:
    """The identity of the embeddings that one of a model's encoders makes."""
    return ModelIdentity(
        card.id, card.preprocessing_sha256, card.encoder_sha256(precision), card.shapes.embedding
    )


@dataclass(frozen=True)
class VectorColumn:
    """Column of vectors of one space, over which a graph can be built.

    Attributes:
        relation: name of the partition in the schema `infomax`.
        column: name of the column.
        dimensions: length of its vectors.
        lock: what tells its graph from others in advisory locks.
    """

    relation: str
    column: str
    dimensions: int
    lock: int

    @property
    def table(self) -> sql.Identifier:
        """The partition; named outright, so that a plan never depends on how partitions are pruned."""
        return sql.Identifier("infomax", self.relation)

    @property
    def graph(self) -> str:
        """Name of its HNSW index, where there is one."""
        return f"{self.relation}_hnsw"


@dataclass(frozen=True)
class Space:
    """One model version's partition of the items, and of their cells."""

    number: int
    dimensions: int

    @property
    def embeddings(self) -> VectorColumn:
        """The vectors of the items."""
        return VectorColumn(f"items_{self.number}", "embedding", self.dimensions, self.number)

    def cells(self, units: int) -> VectorColumn:
        """The cells of the items; `units` is their length."""
        return VectorColumn(f"cells_{self.number}", "local", units, -self.number)

    @property
    def table(self) -> sql.Identifier:
        """The partition of the items."""
        return self.embeddings.table

    @property
    def cells_table(self) -> sql.Identifier:
        """The partition of the cells, where a server has made it."""
        return sql.Identifier("infomax", f"cells_{self.number}")

    @property
    def names(self) -> dict[str, sql.Composable]:
        """What statements of `queries` are formatted with."""
        return {"table": self.table, "space": sql.Literal(self.number)}


async def find_or_create(connection: AsyncConnection, identity: ModelIdentity) -> Space:
    """The space of a model version, made on its first use."""
    number = await _find(connection, identity)
    if number is not None:
        space = Space(number, identity.dimensions)
        await _count(connection, space)
        return space
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", [SCHEMA_LOCK])
        number = await _find(connection, identity)
        if number is None:
            number = await _create(connection, identity)
    return Space(number, identity.dimensions)


async def keep_cells(connection: AsyncConnection, space: Space, units: int) -> None:
    """Make room for the cells of a space's items, on the first use; `units` is their length."""
    relation = space.cells(units).relation
    statement = "SELECT to_regclass(%s) IS NULL AND NOT pg_is_in_recovery()"
    cursor = await connection.execute(statement, [f"infomax.{relation}"])
    if await cursor.fetchone() == (True,):
        await connection.execute("SELECT infomax.keep_cells(%s, %s)", [space.number, units])


async def _count(connection: AsyncConnection, space: Space) -> None:
    """Have the items counted: a server of an older version that ran meanwhile makes spaces without."""
    cursor = await connection.execute(
        "SELECT FROM pg_trigger WHERE tgrelid = to_regclass(%s) AND tgname = 'count_added'",
        [f"infomax.items_{space.number}"],
    )
    if await cursor.fetchone() is None:
        await _keep_count(connection, space)


async def _keep_count(connection: AsyncConnection, space: Space) -> None:
    await connection.execute(
        "SELECT infomax.keep_count(%s::regclass, %s)", [f"infomax.items_{space.number}", space.number]
    )


async def _find(connection: AsyncConnection, identity: ModelIdentity) -> int | None:
    cursor = await connection.execute(
        "SELECT number FROM infomax.spaces "
        "WHERE model = %s AND preprocessing_sha256 = %s AND encoder_sha256 = %s",
        [identity.model, identity.preprocessing_sha256, identity.encoder_sha256],
    )
    row = await cursor.fetchone()
    return None if row is None else int(row[0])


async def _create(connection: AsyncConnection, identity: ModelIdentity) -> int:
    cursor = await connection.execute(
        "INSERT INTO infomax.spaces (model, preprocessing_sha256, encoder_sha256, dimensions) "
        "VALUES (%s, %s, %s, %s) RETURNING number",
        [identity.model, identity.preprocessing_sha256, identity.encoder_sha256, identity.dimensions],
    )
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 (RETURNING of one inserted row)
    space = Space(int(row[0]), identity.dimensions)
    await connection.execute(
        sql.SQL("CREATE TABLE {} PARTITION OF infomax.items FOR VALUES IN ({})").format(
            space.table, sql.Literal(space.number)
        )
    )
    await connection.execute(
        sql.SQL("ALTER TABLE {} ADD CHECK (vector_dims(embedding) = {})").format(
            space.table, sql.Literal(space.dimensions)
        )
    )
    await _keep_count(connection, space)
    return space.number
