"""Neighbours as JSON, with the maps that explain them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contract.map_kinds import MapKind
from service.index.items import Neighbour
from service.index.pictures import Source
from service.inference.maps import PatchMap
from service.inference.results import ImageInfo
from service.outputs.mi_maps import image_json, map_json


@dataclass(frozen=True, slots=True)
class HitSide:
    """The hit's patches against the query's code.

    Attributes:
        mi_map: float32 [M, M], the cross map in nats.
        image: size and format of the hit's image as it was stored.
        encoded: the kept image.
        source: what it is; a thumbnail has fewer pixels than the model saw.
    """

    mi_map: NDArray[np.float32]
    image: ImageInfo
    encoded: bytes
    source: Source


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why one hit is near.

    Attributes:
        query: float32 [M, M] in nats, the query's patches against the hit's code.
        hit: the other way round; None where no picture of the hit is kept.
    """

    query: NDArray[np.float32]
    hit: HitSide | None


def contrast(mi_map: NDArray[np.float32]) -> NDArray[np.float32]:
    """Subtract the mean over the patches: what speaks for the other image more than the rest, float32 [M, M].

    Neighbours share most of what they show, so that whole maps lie above zero, or below.
    """
    centred: NDArray[np.float32] = mi_map - np.float32(mi_map.mean(dtype=np.float64))
    return centred


def neighbours_json(
    neighbours: Sequence[Neighbour],
    explanations: Sequence[Explanation | None] | None = None,
    *,
    sides: bool = True,
) -> list[dict[str, object]]:
    """Return the hits, best first, for `service.outputs.json.dump`.

    Args:
        neighbours: as the index found them.
        explanations: one for each hit, None for a hit that was stored without an image. Where none are given,
            hits have no member `explanation`.
        sides: whether explanations have the member `hit`; else the hits' sides are answered later.
    """
    hits: list[dict[str, object]] = [
        {"id": hit.id, "score": hit.score, "metadata": hit.metadata} for hit in neighbours
    ]
    for found, neighbour in zip(hits, neighbours, strict=True):
        if neighbour.region is not None:
            found["region"] = neighbour.region
    if explanations is not None:
        for hit, explanation in zip(hits, explanations, strict=True):
            if explanation is None:
                hit["explanation"] = None
                continue
            shown: dict[str, object] = _cross_json(explanation.query)
            hit["explanation"] = {**shown, "hit": side_json(explanation.hit)} if sides else shown
    return hits


def side_json(side: HitSide | None) -> dict[str, object] | None:
    """Return a hit's side of an explanation; null where no picture of the hit is kept."""
    if side is None:
        return None
    return {**_cross_json(side.mi_map), "image": image_json(side.image), "from": side.source}


def _cross_json(mi_map: NDArray[np.float32]) -> dict[str, object]:
    patch_map = PatchMap(MapKind.INFORMATION, mi_map)
    return {**map_json(patch_map), "contrast": contrast(np.ascontiguousarray(mi_map))}
