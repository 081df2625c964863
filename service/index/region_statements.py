"""Statements of a search by a region."""

import asyncio
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from pgvector import HalfVector
from psycopg import AsyncConnection, sql

from contract.card import ModelCard
from service.index import graph, queries
from service.index.cell_rows import ItemCells, read_cells
from service.index.cells import CellGrid
from service.index.filters import Condition
from service.index.region_matching import Region
from service.index.search_plan import GRAPH_COST, LEAST_WALK, MOST_BREADTH, WALK_MARGIN, Recall
from service.index.space import Space

# Fewest cells that each code asks the graph for, and cells for each item that is wanted. These and the spare
# candidates, which are compared with all of their cells, hold for so many cells, and grow with the root of
# more: among more items more are about as alike as the least hit (`python -m bench.regions`).
_BREADTH = {Recall.EXACT: (0, 0.0), Recall.HIGH: (64, 2.0), Recall.FAST: (20, 1.0)}
_SPARE_ITEMS = 256
_CELLS = 100_000
_MOST_SPARE_ITEMS = 1000
# Items beyond those that are wanted where all cells were compared: half precision swaps close ones.
_TIED_ITEMS = 64
# Microseconds on one core for a code and a cell that are compared.
_CELL_COST = 0.1

_EXTENT = """
SELECT coalesce((SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%(graph)s)), false),
       (SELECT coalesce(sum(change), 0) FROM infomax.cell_counts WHERE space = %(space)s)::bigint,
       (SELECT coalesce(sum(change), 0) FROM infomax.item_counts WHERE space = %(space)s)::bigint
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
class CellExtent:
    """What there is to search.

    Attributes:
        graph: whether the cells have a complete graph.
        items: in the space.
        with_cells: those of them that have cells.
    """

    graph: bool
    items: int
    with_cells: int

    @classmethod
    async def read(cls, connection: AsyncConnection, space: Space, card: ModelCard) -> "CellExtent":
        """Read it from the counts, which takes as long for any number of items."""
        column = space.cells(card.shapes.critic_units)
        names = {"graph": f"infomax.{column.graph}", "space": space.number}
        row = await (await connection.execute(_EXTENT, names)).fetchone()
        graph_is_there, cells, items = (False, 0, 0) if row is None else row
        return cls(graph_is_there, int(items), int(cells) // CellGrid.of(card).count)


class RegionStatements:
    """The statements of one search."""

    def __init__(
        self,
        connection: AsyncConnection,
        space: Space,
        card: ModelCard,
        query: RegionQuery,
        extent: CellExtent,
    ) -> None:
        self._connection = connection
        self._extent = extent
        self._space = space
        self._column = space.cells(card.shapes.critic_units)
        self._query = query
        self._cells_an_item = CellGrid.of(card).count
        self._effort = effort(query.recall, query.k, extent.with_cells * self._cells_an_item)
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
                return found[: self._query.k + self._effort.spare]
        return await self._by_cell()

    async def cells_of(self, ids: list[str]) -> list[ItemCells]:
        """These items with their cells."""
        return await read_cells(self._connection, self._space, self._column.dimensions, ids)

    async def _choose_walk(self) -> int | None:
        """How many cells each code may visit in the graph; None where there is none, or all are faster."""
        if not self._extent.graph:
            return None
        condition = self._query.condition
        if condition is None:
            return LEAST_WALK
        items = self._extent.with_cells
        breadth = self._effort.breadth
        most = fewest_to_walk(items, len(self._codes), breadth, self._cells_an_item)
        statement = _PASSING.format(**self._parts, condition=condition.clause, most=sql.Literal(most))
        passing = await (await self._connection.execute(statement, condition.values)).fetchone()
        if passing is None or passing[0] < most:
            return None
        return max(LEAST_WALK, round(WALK_MARGIN * breadth * items / most))

    async def _by_graph(self, most: int) -> list[str]:
        """Items of the cells that are nearest to the codes, best first by what is known."""
        condition: sql.Composable = sql.SQL("true")
        values: dict[str, object] = {
            "codes": self._codes,
            "breadth": str(min(MOST_BREADTH, self._effort.breadth)),
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
            breadth=sql.Literal(self._effort.breadth),
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
            most=sql.Literal(self._query.k + _TIED_ITEMS),
        )
        rows = await (await self._connection.execute(statement, values, binary=True)).fetchall()
        return [item_id for (item_id,) in rows]


@dataclass(frozen=True)
class Effort:
    """How many candidates a search has.

    Attributes:
        breadth: cells that each code asks the graph for.
        spare: items that are compared with all of their cells beyond those that are wanted.
    """

    breadth: int
    spare: int


def effort(recall: Recall, k: int, cells: int) -> Effort:
    """Return the candidates for k items among so many cells."""
    growth = sqrt(max(1.0, cells / _CELLS))
    least, factor = _BREADTH[recall]
    breadth = max(least, factor * k) * growth
    return Effort(round(breadth), min(_MOST_SPARE_ITEMS, round(_SPARE_ITEMS * growth)))


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
