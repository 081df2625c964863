"""Typed answers of the service."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]


@dataclass(frozen=True)
class Embeddings:
    """Embeddings of the images of one request.

    Attributes:
        vectors: float32 [N, D], each of length one.
        model: `name/version` that made them.
    """

    vectors: Vector
    model: str


@dataclass(frozen=True)
class ImageSize:
    """Size of an image in pixels, upright, and its encoded format."""

    width: int
    height: int
    format: str


@dataclass(frozen=True)
class MiMap:
    """Map of the patches of an image.

    Attributes:
        values: float32 [rows, columns], in `unit`.
        mean: mean over the patches.
        kind: `information`, `contribution` or `contrast`: which question it answers.
        unit: `nats`, or as docs/api.md says of the kind.
        image: size of the image; None in streams, and for the query of an explanation.
        boxes: float64 [rows, columns, 4], the left, top, right and bottom of each patch in pixels of the
            image; None in streams and explanations.
        standard_error: float32 [rows, columns], where it is known.
        ceiling: most that a value can show, where there is such a bound.
    """

    values: Vector
    mean: float
    kind: str
    unit: str
    image: ImageSize | None = None
    boxes: NDArray[np.float64] | None = None
    standard_error: Vector | None = None
    ceiling: float | None = None


@dataclass(frozen=True)
class MiMaps:
    """Maps of the images of one request.

    Attributes:
        maps: one for each image, in order.
        model: `name/version` that made them.
        kind: which question they answer.
        estimator: the estimator that they are calibrated by.
        joint: what the information is about, in a sentence.
        measured: what the model's card states of maps of this kind, as the API has it; None where it states
            nothing, and of services before that.
    """

    maps: Sequence[MiMap]
    model: str
    kind: str
    estimator: str
    joint: str
    measured: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class HitExplanation:
    """Why a hit is near: maps of both images against each other's code.

    Attributes:
        query: the query's patches.
        hit: the hit's patches; None if no picture of it is kept.
        source: the picture that the hit's map was made of, `original` or `thumbnail`.
    """

    query: MiMap
    hit: MiMap | None
    source: str | None


@dataclass(frozen=True)
class Hit:
    """Item of the index that is near to a query.

    Attributes:
        id: id of the item.
        score: cosine, from -1 to 1.
        metadata: as it was stored.
        explanation: if it was asked for, and the item was stored with an image.
        region: x, y, width and height in pixels of the item's image, where the search was by a region.
    """

    id: str
    score: float
    metadata: Mapping[str, Any]
    explanation: HitExplanation | None = None
    region: tuple[float, float, float, float] | None = None


class Neighbours(list[Hit]):
    """Hits of one search, best first, and what was asked for beside them.

    Attributes:
        model: `name/version` that answered.
        maps: maps of the query's image by their kind.
        missing_maps: why a kind has no map, in a sentence, by the kind.
        embedding: float32 [D], the vector that was searched by, if asked for.
        items_without_regions: number of items that a search by a region cannot find, because they were stored
            without `INFOMAX_INDEX_REGIONS` or as bare vectors; None for other searches.
    """

    def __init__(
        self,
        hits: Iterable[Hit],
        model: str,
        maps: Mapping[str, MiMap] | None = None,
        missing_maps: Mapping[str, str] | None = None,
        embedding: Vector | None = None,
        items_without_regions: int | None = None,
    ) -> None:
        super().__init__(hits)
        self.model = model
        self.maps = maps or {}
        self.missing_maps = missing_maps or {}
        self.embedding = embedding
        self.items_without_regions = items_without_regions


@dataclass(frozen=True)
class IndexedItem:
    """Item of the index.

    Attributes:
        id: its id.
        metadata: as it was stored.
        vector: float32 [D], of length one; None in lists.
        image: size and format of its image; None for a bare vector.
        updated: when it was stored, ISO 8601.
        model: `name/version` that made the vector.
    """

    id: str
    metadata: Mapping[str, Any]
    vector: Vector | None
    image: ImageSize | None
    updated: str
    model: str


@dataclass(frozen=True)
class ServedModel:
    """Model version that the service knows.

    Attributes:
        id: `name/version`.
        state: `ready`, `loading`, `failed` or `retired`.
        reason: why it is not served; empty if it is.
        card: the model card; empty for a version that is not served.
        execution: requested and active execution provider; empty for a version that is not served.
    """

    id: str
    state: str
    reason: str = ""
    card: Mapping[str, Any] = field(default_factory=dict)
    execution: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ImageResult:
    """Answer to one image of a batch.

    Attributes:
        index: its place in the batch, from 0.
        id: its path, link or given id, or its place.
        embedding: float32 [D], if asked for.
        mi_map: its map, if asked for.
        neighbours: best first, if asked for.
    """

    ok: ClassVar[bool] = True
    index: int
    id: str
    embedding: Vector | None = None
    mi_map: MiMap | None = None
    neighbours: Sequence[Hit] | None = None


@dataclass(frozen=True, slots=True)
class ItemStored:
    """Item of an upload that the service has on its disk."""

    ok: ClassVar[bool] = True
    index: int
    id: str


@dataclass(frozen=True, slots=True)
class ImageFailure:
    """Image, or item, that failed alone.

    Attributes:
        index: its place in the batch, from 0.
        id: as in `ImageResult`.
        code: a code of docs/errors.md, or of `ImageInputError`.
        message: a sentence.
    """

    ok: ClassVar[bool] = False
    index: int
    id: str
    code: str
    message: str


BatchResult = ImageResult | ImageFailure
UploadResult = ItemStored | ImageFailure
