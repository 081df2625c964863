"""MI maps as JSON: the grid in nats, and the boxes of its patches in the image."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from contract.card import ModelCard
from contract.placement import place
from service.inference.results import Embedded, ImageInfo
from service.outputs.json import dump


def map_json(mi_map: NDArray[np.float32]) -> dict[str, object]:
    """Return one map [rows, columns] in nats, for `service.outputs.json.dump`."""
    rows, columns = mi_map.shape
    nats = np.ascontiguousarray(mi_map)
    return {"rows": rows, "columns": columns, "nats": nats, "mean": float(nats.mean(dtype=np.float64))}


def image_json(image: ImageInfo) -> dict[str, object]:
    """Return the size of an image in pixels, upright, and its encoded format."""
    return {"width": image.original_width, "height": image.original_height, "format": image.format}


def maps_json(
    card: ModelCard,
    embedded: Sequence[Embedded],
    maps: Sequence[NDArray[np.float32]],
    reference: ImageInfo | None = None,
) -> bytes:
    """Write the answer to a request.

    Args:
        card: card of the model that made the maps.
        embedded: the images.
        maps: one map for each image.
        reference: the image whose code all maps are against; None where each is against its own.
    """
    data = [
        {
            "index": index,
            **map_json(mi_map),
            "image": image_json(one.image),
            "boxes": _boxes(card, one.image),
        }
        for index, (one, mi_map) in enumerate(zip(embedded, maps, strict=True))
    ]
    answer: dict[str, object] = {
        "model": card.id,
        "unit": "nats",
        "estimator": card.calibration.estimator,
        "joint": card.calibration.joint,
        "data": data,
    }
    if reference is not None:
        answer["reference"] = image_json(reference)
    return dump(answer)


def _boxes(card: ModelCard, image: ImageInfo) -> list[list[dict[str, float]]]:
    placement = place(card.preprocessing, (image.original_width, image.original_height))
    return [[box.model_dump() for box in row] for row in card.patch_grid.boxes(placement)]
