"""Explanation of neighbours: the cross maps of query and hit, both ways."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from service.errors import ServiceError
from service.index.items import Neighbour
from service.inference.results import Embedded, Failed, ImageInfo, Outcome, Priority, Projections, Want
from service.models.instance import ModelInstance
from service.outputs.neighbours import Explanation, HitSide

MOST_HITS = 100


async def explain(
    served: ModelInstance, query: Projections, hits: Sequence[Neighbour]
) -> list[Explanation | None]:
    """Explain each hit; None for one that was stored without a code.

    Raises:
        ServiceError: 500 `inference_failed` for a map that is not finite; as `Pipeline.embed`.
    """
    codes = {hit.id: hit.code for hit in hits if hit.code is not None}
    if not codes:
        return [None] * len(hits)
    projected = await served.pipeline.project(np.stack(list(codes.values())))
    globals_ = dict(zip(codes, projected, strict=True))
    sides = await _hit_sides(served, query, list(codes))
    return [
        Explanation(_cross_map(query, globals_[hit.id], hit.id), sides.get(hit.id))
        if hit.id in globals_
        else None
        for hit in hits
    ]


async def _hit_sides(served: ModelInstance, query: Projections, ids: Sequence[str]) -> dict[str, HitSide]:
    """Encode the kept pictures of the hits again, and map them against the query's code."""
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
