"""Neighbours as JSON, with the maps that explain them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from service.index.items import Neighbour
from service.outputs.mi_maps import map_json


def neighbours_json(
    neighbours: Sequence[Neighbour], explanations: Sequence[NDArray[np.float32] | None] | None = None
) -> list[dict[str, object]]:
    """Return the hits, best first, for `service.outputs.json.dump`.

    Args:
        neighbours: as the index found them.
        explanations: the query's map against the code of each hit, None for a hit that was stored without
            an image. Where no explanations are given, hits have no member `explanation`.
    """
    hits: list[dict[str, object]] = [
        {"id": hit.id, "score": hit.score, "metadata": hit.metadata} for hit in neighbours
    ]
    if explanations is not None:
        for hit, explanation in zip(hits, explanations, strict=True):
            hit["explanation"] = None if explanation is None else map_json(explanation)
    return hits
