"""One search by a region: its statements, and the hits that they find.

Whole-image vectors do not find parts of images, so the cells themselves are searched. Each local code asks
the graph of the cells for its nearest ones. Their items are ranked by what is known so: a cosine that a
list lacks is at most the least of the list, which stands for it (Lee et al. 2023, "Rethinking the Role of
Token Retrieval in Multi-Vector Retrieval", arXiv 2304.01982). The best of them are then compared with all
of their cells.
"""

import asyncio

import numpy as np
from psycopg import AsyncConnection

from contract.card import ModelCard
from contract.placement import place
from service.index.cells import CellGrid
from service.index.items import Neighbour
from service.index.region_statements import ItemCells, RegionQuery, RegionStatements, read_items
from service.index.regions import Rectangle, places, scores, to_pixels
from service.index.space import Space


async def find_region(
    connection: AsyncConnection, space: Space, card: ModelCard, query: RegionQuery
) -> list[Neighbour]:
    """The k items with the best fit, best first, equal ones by id."""
    statements = RegionStatements(connection, space, card, query)
    rows = await statements.cells_of(await statements.candidates())
    # This takes milliseconds for many hits; other requests go on meanwhile.
    return await asyncio.to_thread(_hits, rows, card, query)


async def read_cells(
    connection: AsyncConnection, space: Space, card: ModelCard, item_id: str
) -> ItemCells | None:
    """An item with its cells; None where it has none."""
    found = await read_items(connection, space, card.shapes.critic_units, [item_id])
    return found[0] if found else None


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
    return left, top, round(box.right - left, 2), round(box.bottom - top, 2)
