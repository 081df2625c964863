"""JSON of the service, read into typed answers."""

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np

from infomax.client.results import (
    Hit,
    HitExplanation,
    ImageSize,
    IndexedItem,
    MiMap,
    Neighbours,
    ServedModel,
    Vector,
)


def vector_of_base64(text: str) -> Vector:
    """Read float32 [D] from base64 of its little-endian bytes."""
    vector: Vector = np.frombuffer(base64.b64decode(text), "<f4")
    return vector


def mi_map_of(answer: Mapping[str, Any]) -> MiMap:
    """Read one map."""
    boxes, error = answer.get("boxes"), answer.get("standard_error")
    return MiMap(
        np.asarray(answer["nats"] if "nats" in answer else answer["values"], np.float32),
        float(answer["mean"]),
        answer["kind"],
        answer["unit"],
        size_of(answer["image"]) if "image" in answer else None,
        None
        if boxes is None
        else np.array(
            [[(box["left"], box["top"], box["right"], box["bottom"]) for box in row] for row in boxes],
            np.float64,
        ),
        None if error is None else np.asarray(error, np.float32),
        answer.get("ceiling"),
    )


def explanation_of(answer: Mapping[str, Any]) -> HitExplanation:
    """Read the explanation of one neighbour."""
    hit = answer["hit"]
    if hit is None:
        return HitExplanation(mi_map_of(answer), None, None)
    return HitExplanation(mi_map_of(answer), mi_map_of(hit), hit["from"])


def size_of(answer: Mapping[str, Any]) -> ImageSize | None:
    """Read the size and format of an image; None where there is none."""
    if answer["width"] is None:
        return None
    return ImageSize(answer["width"], answer["height"], answer["format"])


def hit_of(answer: Mapping[str, Any]) -> Hit:
    """Read one neighbour."""
    explanation, region = answer.get("explanation"), answer.get("region")
    return Hit(
        answer["id"],
        answer["score"],
        answer["metadata"],
        None if explanation is None else explanation_of(explanation),
        None if region is None else (region[0], region[1], region[2], region[3]),
    )


def neighbours_of(answer: Mapping[str, Any]) -> Neighbours:
    """Read the answer to a search; its maps share the image and its boxes."""
    shared = {name: answer[name] for name in ("image", "boxes") if name in answer}
    maps = {one["kind"]: one for one in answer.get("maps", ())}
    vector = answer.get("embedding")
    return Neighbours(
        map(hit_of, answer["neighbours"]),
        answer["model"],
        {kind: mi_map_of({**one, **shared}) for kind, one in maps.items() if "error" not in one},
        {kind: one["error"]["message"] for kind, one in maps.items() if "error" in one},
        None if vector is None else np.asarray(vector, np.float32),
        answer.get("items_without_regions"),
    )


def item_of(answer: Mapping[str, Any], model: str) -> IndexedItem:
    """Read one item, of a list or alone."""
    vector = answer.get("vector")
    return IndexedItem(
        answer["id"],
        answer["metadata"],
        None if vector is None else np.asarray(vector, np.float32),
        size_of(answer),
        answer["updated"],
        model,
    )


def model_of(answer: Mapping[str, Any]) -> ServedModel:
    """Read one model version."""
    return ServedModel(
        answer["id"],
        answer["state"],
        answer.get("reason") or "",
        answer.get("card", {}),
        answer.get("execution", {}),
    )
