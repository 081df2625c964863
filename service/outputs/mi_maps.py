"""Maps as JSON: the grid in its unit, and the boxes of its patches in the image."""

from collections.abc import Sequence

import numpy as np

from contract.card import ModelCard
from contract.map_measures import KindMeasure
from contract.patches import PatchGrid
from contract.placement import place
from contract.precision import Precision
from service.inference.maps import PatchMap
from service.inference.results import Embedded, ImageInfo
from service.outputs.json import dump


def map_json(patch_map: PatchMap) -> dict[str, object]:
    """Return one map, for `service.outputs.json.dump`: `nats`, or `values` in another unit."""
    rows, columns = patch_map.values.shape
    meaning = patch_map.kind.meaning
    values = np.ascontiguousarray(patch_map.values)
    members: dict[str, object] = {
        "kind": patch_map.kind,
        "unit": meaning.unit,
        "rows": rows,
        "columns": columns,
        "nats" if meaning.in_nats else "values": values,
        "mean": float(values.mean(dtype=np.float64)),
    }
    if patch_map.standard_error is not None:
        members["standard_error"] = np.ascontiguousarray(patch_map.standard_error)
    if patch_map.ceiling is not None:
        members["ceiling"] = patch_map.ceiling
        members["above_ceiling"] = patch_map.above_ceiling
    return members


def image_json(image: ImageInfo) -> dict[str, object]:
    """Return the size of an image in pixels, upright, and its encoded format."""
    return {"width": image.original_width, "height": image.original_height, "format": image.format}


def measured_json(measure: KindMeasure | None) -> dict[str, object] | None:
    """Return what the card states of a kind of maps; None where it states nothing."""
    return None if measure is None else measure.model_dump(mode="json", exclude_none=True)


def maps_json(
    card: ModelCard,
    precision: Precision,
    grid: PatchGrid,
    embedded: Sequence[Embedded],
    maps: Sequence[PatchMap],
    reference: ImageInfo | None = None,
) -> bytes:
    """Write the answer to a request.

    Args:
        card: card of the model that made the maps.
        precision: of the encoder that ran.
        grid: of their patches.
        embedded: the images.
        maps: one map for each image.
        reference: the image that all maps are against; None where there is none.
    """
    data = [
        {
            "index": index,
            **map_json(patch_map),
            "image": image_json(one.image),
            "boxes": boxes_json(card, grid, one.image),
        }
        for index, (one, patch_map) in enumerate(zip(embedded, maps, strict=True))
    ]
    kind = maps[0].kind
    answer: dict[str, object] = {
        "model": card.id,
        "kind": kind,
        "question": kind.meaning.question,
        "unit": kind.meaning.unit,
        "estimator": card.calibration.estimator,
        "joint": card.calibration.joint,
        "measured": measured_json(card.measure_of(kind, precision)),
        "data": data,
    }
    if reference is not None:
        answer["reference"] = image_json(reference)
    return dump(answer)


def boxes_json(card: ModelCard, grid: PatchGrid, image: ImageInfo) -> list[list[dict[str, float]]]:
    """Return what each patch sees, in pixels of the image, row by row."""
    placement = place(card.preprocessing, (image.original_width, image.original_height))
    return [[box.model_dump() for box in row] for row in grid.boxes(placement)]
