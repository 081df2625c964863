"""One search: its statements, and the hits that they find."""

from dataclasses import dataclass
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg import AsyncConnection, sql

from service.index import graph, queries
from service.index.filters import Condition
from service.index.items import Neighbour
from service.index.search_plan import SPARE_CANDIDATES, Recall, Walk, filtered, unfiltered
from service.index.space import Space

# A walk and a scan take about as long where it matters whether 20 or 30 of these pass.
_SAMPLE_ROWS = 256
_REMEMBERED_SECONDS = 5.0
# What is remembered too long costs a search its speed, and no hit.
_SHARE_SECONDS = 60.0
_MOST_SHARES = 1024

Rows = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Query:
    """What is searched for.

    Attributes:
        vector: float32 [D], of length one.
        k: how many; fewer come back only if fewer items match.
        condition: only items that meet it.
        recall: how thoroughly.
        min_score: only items with this cosine similarity or more.
        with_codes: also return the hits' codes.
    """

    vector: NDArray[np.float32]
    k: int
    condition: Condition | None = None
    recall: Recall = Recall.HIGH
    min_score: float | None = None
    with_codes: bool = False


@dataclass(frozen=True)
class _Extent:
    """What there is to search: `items` in `blocks` of the table."""

    items: int
    blocks: int


class SearchMemory:
    """Extent of a space with a graph, and shares that filters pass: a search then takes one exchange.

    A graph that appears is noticed at once, because the lack of one is not remembered. One that is dropped
    meanwhile costs a few searches their speed.

    Attributes:
        walked: the latest search that the graph has answered.
    """

    def __init__(self) -> None:
        """Remember nothing yet."""
        self.walked: Query | None = None
        self._extent: _Extent | None = None
        self._until = 0.0
        self._shares: dict[bytes, tuple[float, float]] = {}

    def forget(self) -> None:
        """Forget all: the space is another one."""
        self.walked = self._extent = None
        self._shares.clear()

    def share(self, condition: Condition) -> float | None:
        """The share of the items that pass a filter, as it was found within the last minute."""
        share, until = self._shares.get(condition.digest, (0.0, 0.0))
        return share if monotonic() < until else None

    def keep_share(self, condition: Condition, share: float) -> None:
        """Remember a share; the oldest is forgotten where there are many."""
        self._shares.pop(condition.digest, None)
        if len(self._shares) >= _MOST_SHARES:
            del self._shares[next(iter(self._shares))]
        self._shares[condition.digest] = share, monotonic() + _SHARE_SECONDS

    async def read(self, connection: AsyncConnection, space: Space) -> _Extent | None:
        """The extent, remembered or read; None where there is no graph."""
        if self._extent is not None and monotonic() < self._until:
            return self._extent
        names = {
            "graph": f"infomax.{space.embeddings.graph}",
            "table": f"infomax.{space.embeddings.relation}",
            "space": space.number,
        }
        row = await (await connection.execute(queries.EXTENT, names)).fetchone()
        self._extent = _Extent(int(row[1]), int(row[2])) if row is not None and row[0] else None
        self._until = monotonic() + _REMEMBERED_SECONDS
        return self._extent


async def find(
    connection: AsyncConnection, space: Space, query: Query, memory: SearchMemory
) -> list[Neighbour]:
    """The k items with the highest cosine similarity, best first, equal ones by id."""
    statements = _Statements(connection, space, query, memory)
    walk = None if query.recall is Recall.EXACT else await statements.choose_walk()
    rows = None if walk is None else await statements.approximate(walk)
    if rows is None:
        rows = await statements.exact()
    else:
        memory.walked = query
    hits = [_neighbour(*row) for row in rows]
    return hits if query.min_score is None else [hit for hit in hits if hit.score >= query.min_score]


class _Statements:
    """The statements of one search, all of which answer with the same columns."""

    def __init__(self, connection: AsyncConnection, space: Space, query: Query, memory: SearchMemory) -> None:
        self._connection = connection
        self._memory = memory
        self._space = space
        self._query = query
        self._candidates = query.k + SPARE_CANDIDATES
        self._values = {"vector": query.vector, **(query.condition.values if query.condition else {})}
        self._parts = {
            "table": space.table,
            "code": sql.SQL("code" if query.with_codes else "NULL::vector"),
            "k": sql.Literal(query.k),
        }

    async def choose_walk(self) -> Walk | None:
        """How to walk the graph; None where there is none, or rows are faster."""
        query, extent = self._query, await self._memory.read(self._connection, self._space)
        if extent is None:
            return None
        if query.condition is None:
            return unfiltered(query.recall, query.k)
        share = await self._share(query.condition, extent)
        return filtered(query.recall, query.k, extent.items, share, indexed=query.condition.indexed)

    async def exact(self) -> Rows:
        condition = self._query.condition.clause if self._query.condition else sql.SQL("true")
        return await self._fetch(queries.EXACT.format(**self._parts, condition=condition), self._values)

    async def approximate(self, walk: Walk) -> Rows | None:
        """What the graph finds; None where it gave up, since the filter refuses most of what is near.

        Few items pass then, and the nearest of them may lie beyond those that were visited.
        """
        # PostgreSQL takes a CASE for one half, and stays with the graph that was chosen for good reasons.
        condition: sql.Composable = sql.SQL("true")
        if self._query.condition is not None:
            condition = sql.SQL("CASE WHEN {} THEN true ELSE false END").format(self._query.condition.clause)
        statement = queries.APPROXIMATE.format(
            **self._parts,
            settings=queries.WALK_SETTINGS,
            condition=condition,
            half_embedding=graph.half_precision(self._space.embeddings, sql.Identifier("embedding")),
            half_vector=graph.half_precision(self._space.embeddings, sql.SQL("%(vector)s::vector")),
            candidates=sql.Literal(self._candidates),
        )
        rows = await self._fetch(
            statement, {**self._values, "breadth": str(walk.breadth), "most": str(walk.most)}
        )
        candidates = rows[0][-1] if rows else 0
        wanted = self._query.k if self._query.recall is Recall.FAST else self._candidates
        return [row[:-1] for row in rows] if candidates >= wanted else None

    async def _share(self, condition: Condition, extent: _Extent) -> float:
        """The share of the items that pass, remembered or from a random sample; never 0."""
        remembered = self._memory.share(condition)
        if remembered is not None:
            return remembered
        places = _random_places(extent)
        statement = queries.SHARE.format(table=self._space.table, condition=condition.clause)
        cursor = await self._connection.execute(statement, {**condition.values, "places": places})
        row = await cursor.fetchone()
        seen, passed = (0, 0) if row is None else row
        share = float((passed + 0.5) / (seen + 1))
        self._memory.keep_share(condition, share)
        return share

    async def _fetch(self, statement: sql.Composed, values: dict[str, object]) -> Rows:
        return await (await self._connection.execute(statement, values, binary=True)).fetchall()


def _random_places(extent: _Extent) -> list[str]:
    """Where rows may lie in the table: `(block,row)`, some of which are empty."""
    rng = np.random.default_rng()
    most = -(-extent.items // max(1, extent.blocks)) + 1
    blocks = rng.integers(0, max(1, extent.blocks), _SAMPLE_ROWS).tolist()
    rows = rng.integers(1, most + 1, _SAMPLE_ROWS).tolist()
    return [f"({block},{row})" for block, row in zip(blocks, rows, strict=True)]


def _neighbour(item_id: str, metadata: Any, code: Any, distance: float) -> Neighbour:
    score = min(1.0, max(-1.0, -distance))
    return Neighbour(item_id, score, metadata, None if code is None else code.to_numpy())
