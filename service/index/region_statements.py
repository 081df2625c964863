"""Statements of a search by a region."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pgvector import HalfVector
from psycopg import AsyncConnection, sql

from contract.card import ModelCard
from service.index import graph, queries
from service.index.cells import CellGrid
from service.index.filters import Condition
from service.index.items import Metadata
from service.index.regions import Region
from service.index.search_plan import GRAPH_COST, LEAST_WALK, MOST_BREADTH, WALK_MARGIN, Recall
from service.index.space import Space

# Candidates that are compared with all of their cells beyond those that are wanted.
_SPARE_ITEMS = 64
# Fewest cells that each code asks the graph for, and cells for each item that is wanted.
_BREADTH = {Recall.HIGH: (100, 2.0), Recall.FAST: (32, 1.0)}
# Microseconds on one core for a code and a cell that are compared.
_CELL_COST = 0.1

_EXTENT = """
SELECT coalesce((SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%(graph)s)), false),
       (SELECT coalesce(sum(change), 0) FROM infomax.cell_counts WHERE space = %(space)s)::bigint
"""
_PASSING = sql.SQL("SELECT count(*) FROM (SELECT FROM {items} WHERE {condition} LIMIT {most}) AS passing")
# The sum over the codes of the best cosine, item by item.
_EXACT = sql.SQL("""
SELECT id FROM (SELECT id, {score} AS score FROM {cells} WHERE {condition} GROUP BY id) AS scored
ORDER BY score DESC, id LIMIT {most}
""")
_AMONG = sql.SQL("id IN (SELECT id FROM {items} WHERE {condition})")
_NEAREST = sql.SQL("""
SELECT code.number, cell.id, cell.cosine
FROM unnest(%(codes)s::halfvec[]) WITH ORDINALITY AS code (local, number)
CROSS JOIN LATERAL (
    SELECT id, -({half_local} <#> {half_code}) AS cosine FROM {cells} AS one
    WHERE {settings}
      AND {condition}
    ORDER BY {half_local} <#> {half_code} LIMIT {breadth}
) AS cell
""")
# PostgreSQL takes a CASE for what it cannot join by, and stays with the graph.
_PASSES = sql.SQL("""
CASE WHEN EXISTS (SELECT FROM {items} AS item WHERE item.space = {space} AND item.id = one.id AND {condition})
     THEN true ELSE false END
""")
_CELLS_OF = sql.SQL("""
SELECT id, metadata, width, height,
       (SELECT string_agg(halfvec_send(local), ''::bytea ORDER BY cell) FROM {cells} AS cell
        WHERE cell.space = {space} AND cell.id = item.id)
FROM {items} AS item WHERE space = {space} AND id = ANY (%s)
""")


@dataclass(frozen=True)
class RegionQuery:
    """What is searched for.

    Attributes:
        region: the region.
        k: how many items; fewer come back only if fewer match and have cells.
        condition: only items that meet it.
        recall: how thoroughly.
        min_score: only items with this score or more.
    """

    region: Region
    k: int
    condition: Condition | None = None
    recall: Recall = Recall.HIGH
    min_score: float | None = None


@dataclass(frozen=True)
class ItemCells:
    """An item with its cells.

    Attributes:
        id, metadata: of the item.
        width, height: of its image in pixels, upright.
        cells: float32 [P, U].
    """

    id: str
    metadata: Metadata
    width: int
    height: int
    cells: NDArray[np.float32]


class RegionStatements:
    """The statements of one search."""

    def __init__(
        self, connection: AsyncConnection, space: Space, card: ModelCard, query: RegionQuery
    ) -> None:
        self._connection = connection
        self._space = space
        self._column = space.cells(card.shapes.critic_units)
        self._query = query
        self._cells_an_item = CellGrid.of(card).rows * CellGrid.of(card).columns
        self._codes = [HalfVector(code) for code in query.region.codes.codes]
        self._parts: dict[str, sql.Composable] = {
            "cells": space.cells_table,
            "items": space.table,
            "space": sql.Literal(space.number),
        }

    async def candidates(self) -> list[str]:
        """The items that may be among the k best, at least as many where there are."""
        if self._query.recall is not Recall.EXACT:
            walk = await self._choose_walk()
            found = [] if walk is None else await self._by_graph(walk)
            if len(found) >= self._query.k:
                return found[: self._query.k + _SPARE_ITEMS]
        return await self._by_cell()

    async def cells_of(self, ids: list[str]) -> list[ItemCells]:
        """These items with their cells."""
        return await read_items(self._connection, self._space, self._column.dimensions, ids)

    async def _choose_walk(self) -> int | None:
        """How many cells each code may visit in the graph; None where there is none, or all are faster."""
        names = {"graph": f"infomax.{self._column.graph}", "space": self._space.number}
        row = await (await self._connection.execute(_EXTENT, names)).fetchone()
        if row is None or not row[0]:
            return None
        condition = self._query.condition
        if condition is None:
            return LEAST_WALK
        items = int(row[1]) / self._cells_an_item
        most = fewest_to_walk(items, len(self._codes), self._breadth, self._cells_an_item)
        statement = _PASSING.format(**self._parts, condition=condition.clause, most=sql.Literal(most))
        passing = await (await self._connection.execute(statement, condition.values)).fetchone()
        if passing is None or passing[0] < most:
            return None
        return max(LEAST_WALK, round(WALK_MARGIN * self._breadth * items / most))

    @property
    def _breadth(self) -> int:
        least, factor = _BREADTH[self._query.recall]
        return max(least, round(factor * self._query.k))

    async def _by_graph(self, most: int) -> list[str]:
        """Items of the cells that are nearest to the codes, best first by what is known."""
        condition: sql.Composable = sql.SQL("true")
        values: dict[str, object] = {
            "codes": self._codes,
            "breadth": str(min(MOST_BREADTH, self._breadth)),
            "most": str(most),
        }
        if self._query.condition is not None:
            condition = _PASSES.format(**self._parts, condition=self._query.condition.clause)
            values |= self._query.condition.values
        statement = _NEAREST.format(
            **self._parts,
            settings=queries.WALK_SETTINGS,
            condition=condition,
            half_local=graph.half_precision(self._column, sql.Identifier("one", self._column.column)),
            half_code=graph.half_precision(self._column, sql.Identifier("code", "local")),
            breadth=sql.Literal(self._breadth),
        )
        rows = await (await self._connection.execute(statement, values, binary=True)).fetchall()
        return await asyncio.to_thread(ranked, rows, len(self._codes))

    async def _by_cell(self) -> list[str]:
        """The best items, by a comparison of all cells."""
        condition: sql.Composable = sql.SQL("true")
        codes = {f"code_{number}": code for number, code in enumerate(self._codes)}
        values: dict[str, object] = {**codes}
        if self._query.condition is not None:
            condition = _AMONG.format(**self._parts, condition=self._query.condition.clause)
            values |= self._query.condition.values
        best = (sql.SQL("max(-(local <#> {}))").format(sql.Placeholder(name)) for name in codes)
        statement = _EXACT.format(
            **self._parts,
            condition=condition,
            score=sql.SQL(" + ").join(best),
            most=sql.Literal(self._query.k + _SPARE_ITEMS),
        )
        rows = await (await self._connection.execute(statement, values, binary=True)).fetchall()
        return [item_id for (item_id,) in rows]


def fewest_to_walk(items: float, codes: int, breadth: int, cells: int) -> int:
    """Return the least number of items that pass a filter, of so many, for which the graph is faster.

    With n of N items passing, each of the codes visits breadth * N / n cells of the graph; without it, each
    is compared with the cells of n items.

    Args:
        items: with cells.
        codes: that are searched by.
        breadth: cells that each code asks for.
        cells: of an item.
    """
    walk, compare = codes * breadth * items * GRAPH_COST, codes * cells * _CELL_COST
    return max(1, round(sqrt(walk / compare)))


def ranked(rows: list[tuple[Any, ...]], codes: int) -> list[str]:
    """Order the items of nearest cells, best first, equal ones by id.

    Args:
        rows: number of a code from 1, id of an item, cosine; a list of nearest cells for each code.
        codes: number of codes.
    """
    if not rows:
        return []
    numbers, ids, cosines = zip(*rows, strict=True)
    names, places = np.unique(np.array(ids, object), return_inverse=True)
    columns = np.array(numbers) - 1
    values = np.array(cosines, np.float64)
    least = np.full(codes, np.inf)
    np.minimum.at(least, columns, values)
    known = np.tile(np.where(np.isinf(least), 0, least), (len(names), 1))
    np.maximum.at(known, (places, columns), values)
    order = np.argsort(-known.mean(axis=1), kind="stable")
    return [str(names[place]) for place in order]


async def read_items(
    connection: AsyncConnection, space: Space, units: int, ids: list[str]
) -> list[ItemCells]:
    """Items with their cells; those without are left out."""
    statement = _CELLS_OF.format(cells=space.cells_table, items=space.table, space=sql.Literal(space.number))
    rows = await (await connection.execute(statement, [ids], binary=True)).fetchall()
    return await asyncio.to_thread(_unpacked, rows, units)


def _unpacked(rows: Sequence[tuple[Any, ...]], units: int) -> list[ItemCells]:
    return [
        ItemCells(item_id, metadata, width, height, _vectors(packed, units))
        for item_id, metadata, width, height, packed in rows
        if packed is not None
    ]


def _vectors(packed: bytes, units: int) -> NDArray[np.float32]:
    """Cells as pgvector sends them: each its length, an unused number, and halves in network order."""
    fields = np.frombuffer(packed, ">u2").reshape(-1, 2 + units)
    halves = np.ascontiguousarray(fields[:, 2:]).view(">f2")
    return halves.astype(np.float32)
