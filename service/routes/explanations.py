"""Explanation of neighbours: the cross maps of query and hit, both ways."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from service.errors import ServiceError
from service.index.items import Neighbour
from service.inference.results import Embedded, Failed, ImageInfo, Outcome, Priority, Projections, Want
from service.models.instance import ModelInstance
from service.outputs.neighbours import Explanation, HitSide

MOST_HITS = 100
# Encoded together where each is answered when it is ready: a batch of more is hardly cheaper for each.
_HITS_AT_A_TIME = 4


async def explain(
    served: ModelInstance, query: Projections, hits: Sequence[Neighbour]
) -> list[Explanation | None]:
    """Explain each hit from both sides; None for one that was stored without a code.

    Raises:
        ServiceError: 500 `inference_failed` for a map that is not finite; as `Pipeline.embed`.
    """
    explanations = await explain_query(served, query, hits)
    sides = await _hit_sides(served, query, _explained(hits))
    return [
        None if found is None else replace(found, hit=sides.get(hit.id))
        for hit, found in zip(hits, explanations, strict=True)
    ]


async def explain_query(
    served: ModelInstance, query: Projections, hits: Sequence[Neighbour]
) -> list[Explanation | None]:
    """Explain each hit from the query's side, which needs no picture; None for one that has no code.

    Raises:
        ServiceError: 500 `inference_failed` for a map that is not finite.
    """
    codes = [hit.code for hit in hits if hit.code is not None]
    if not codes:
        return [None] * len(hits)
    projected = iter(await served.pipeline.project(np.stack(codes)))
    return [
        None if hit.code is None else Explanation(_cross_map(query, next(projected), hit.id), None)
        for hit in hits
    ]


async def explain_hits(
    served: ModelInstance, query: Projections, hits: Sequence[Neighbour]
) -> AsyncIterator[tuple[str, HitSide | None]]:
    """Explain the hits that have codes from their own side, best first, a few at a time.

    Yields:
        Id, and the side; None for a hit of which no picture is kept, or readable.

    Raises:
        ServiceError: as `explain`.
    """
    ids = _explained(hits)
    for start in range(0, len(ids), _HITS_AT_A_TIME):
        part = ids[start : start + _HITS_AT_A_TIME]
        sides = await _hit_sides(served, query, part)
        for item_id in part:
            yield item_id, sides.get(item_id)


def _explained(hits: Sequence[Neighbour]) -> list[str]:
    return [hit.id for hit in hits if hit.code is not None]


async def _hit_sides(served: ModelInstance, query: Projections, ids: Sequence[str]) -> dict[str, HitSide]:
    """Encode the kept pictures of the hits again, and map them against the query's code."""
    if not ids:
        return {}
    stored = await served.index.pictures(ids)
    kept = {item_id: await served.pictures.best(stored[item_id]) for item_id in ids if item_id in stored}
    pictures = {item_id: picture for item_id, picture in kept.items() if picture is not None}
    # Their client sent none of these images: they wait for room, and are charged to no quota.
    encoded = [data for data, _ in pictures.values()]
    outcomes = await served.pipeline.embed(encoded, Want.PROJECTIONS, Priority.BULK)
    sides = {}
    for (item_id, (data, source)), outcome in zip(pictures.items(), outcomes, strict=True):
        found = _projections(outcome)
        if found is not None:
            item = stored[item_id]
            image = ImageInfo(item.format or "", item.width or 0, item.height or 0)
            sides[item_id] = HitSide(_cross_map(found, query.global_, item_id), image, data, source)
    return sides


def _projections(outcome: Outcome) -> Projections | None:
    """Return the projections; None for a picture that cannot be decoded any more."""
    return None if isinstance(outcome, Failed) else outcome.projections


def _cross_map(patches: Projections, code: NDArray[np.float32], item_id: str) -> NDArray[np.float32]:
    mi_map = patches.against_code(code)
    if not np.isfinite(mi_map).all():
        raise ServiceError(
            500,
            "inference_failed",
            f"The map that explains the item {item_id!a} is not finite. "
            "Store its image again, or search without explain.",
        )
    return mi_map


async def stored_query(served: ModelInstance, item_id: str, want: Want) -> tuple[bytes, Embedded] | None:
    """Encode the kept picture of an item that is searched by; None where none is kept, or readable."""
    stored = (await served.index.pictures([item_id])).get(item_id)
    picture = None if stored is None else await served.pictures.best(stored)
    if picture is None:
        return None
    (outcome,) = await served.pipeline.embed([picture[0]], want, Priority.BULK)
    return None if isinstance(outcome, Failed) else (picture[0], outcome)
