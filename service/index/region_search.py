"""One search by a region: its statements, and the hits that they find.

Whole-image vectors do not find parts of images, so the cells themselves are searched. Each local code asks
the graph of the cells for its nearest ones. Their items are ranked by what is known so: a cosine that a
list lacks is at most the least of the list, which stands for it (Lee et al. 2023, "Rethinking the Role of
Token Retrieval in Multi-Vector Retrieval", arXiv 2304.01982). The best of them are then compared with all
of their cells.
"""

import asyncio
from dataclasses import dataclass

import numpy as np
from psycopg import AsyncConnection

from contract.card import ModelCard
from contract.placement import place
from service.index.cell_rows import ItemCells
from service.index.cells import CellGrid
from service.index.items import Neighbour
from service.index.region_matching import Rectangle, places, scores, to_pixels
from service.index.region_statements import CellExtent, RegionQuery, RegionStatements
from service.index.snapshot import snapshot
from service.index.space import Space

LEAST_SIDE = 0.01
"""Least width and height of a region in pixels; places of hits are rounded to it."""


@dataclass(frozen=True)
class RegionHits:
    """What a search by a region has found.

    Attributes:
        hits: the k items with the best fit, best first, equal ones by id.
        items: in the index.
        without_regions: those of them that cannot be found, because they have no cells.
    """

    hits: list[Neighbour]
    items: int
    without_regions: int


async def find_region(
    connection: AsyncConnection, space: Space, card: ModelCard, query: RegionQuery
) -> RegionHits:
    """Search as of one moment: candidates and their cells are read by several statements."""
    async with snapshot(connection):
        extent = await CellExtent.read(connection, space, card)
        statements = RegionStatements(connection, space, card, query, extent)
        rows = await statements.cells_of(await statements.candidates())
    # This takes milliseconds for many hits; other requests go on meanwhile.
    hits = await asyncio.to_thread(_hits, rows, card, query)
    return RegionHits(hits, extent.items, max(0, extent.items - extent.with_cells))


def _hits(candidates: list[ItemCells], card: ModelCard, query: RegionQuery) -> list[Neighbour]:
    """Choose the hits, and find the region in each."""
    least = -np.inf if query.min_score is None else query.min_score
    scored = zip(scores(query.region, [one.cells for one in candidates]).tolist(), candidates, strict=True)
    best = sorted(scored, key=lambda pair: (-pair[0], pair[1].id))[: query.k]
    chosen = [(score, one) for score, one in best if score >= least]
    boxes = places(query.region, [one.cells for _, one in chosen], CellGrid.of(card))
    hits = []
    for (score, one), box in zip(chosen, boxes, strict=True):
        placement = place(card.preprocessing, (one.width, one.height))
        region = _rounded(to_pixels(box, card.patch_grid, placement))
        hits.append(Neighbour(one.id, score, one.metadata, region=region))
    return hits


def _rounded(box: Rectangle) -> tuple[float, float, float, float]:
    left, top = round(box.left, 2), round(box.top, 2)
    sides = (box.right - left, box.bottom - top)
    width, height = (max(LEAST_SIDE, round(side, 2)) for side in sides)
    return left, top, width, height
