"""What a batch asks: outputs of images, or their place in the index."""

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from infomax.client.answers import hit_of, mi_map_of, vector_of_base64
from infomax.client.calls import MapKind, SearchOptions
from infomax.client.chunks import Entry
from infomax.client.image_input import default_id
from infomax.client.results import ImageResult, ItemStored
from infomax.client.tar_body import tar_body

OUTPUTS = ("embedding", "mi_map", "neighbours")


@dataclass(frozen=True)
class UploadItem:
    """Item to store in the index.

    Attributes:
        id: 1 to 512 bytes.
        image: an `ImageInput`; None with a vector.
        vector: a vector of your own, in place of an image.
        metadata: a JSON object.
    """

    id: str
    image: Any = None
    vector: Any = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.image is None) == (self.vector is None):
            raise ValueError(f"The item {self.id!a} needs one of an image and a vector.")


@dataclass(frozen=True)
class BatchJob:
    """Outputs of a stream of images, by POST /v1/batch."""

    outputs: Sequence[str]
    search: SearchOptions
    kind: MapKind | None
    model: str | None
    most_bytes: int
    path: str = "/v1/batch"
    content_type: str = "application/x-tar"

    def __post_init__(self) -> None:
        if not self.outputs or set(self.outputs) - set(OUTPUTS):
            raise ValueError(f"outputs={list(self.outputs)} is not allowed. Choose of {', '.join(OUTPUTS)}.")

    @property
    def query(self) -> dict[str, str]:
        query = {"outputs": ",".join(self.outputs), "encoding_format": "base64"}
        if "neighbours" in self.outputs:
            query |= self.search.query()
        if "mi_map" in self.outputs and self.kind is not None:
            query["kind"] = self.kind
        return query | ({} if self.model is None else {"model": self.model})

    def body(self, entries: Sequence[tuple[Entry, bytes]]) -> bytes:
        return tar_body(content for _, content in entries)

    def result(self, entry: Entry, line: dict[str, Any]) -> ImageResult:
        vector, mi_map, hits = line.get("embedding"), line.get("mi_map"), line.get("neighbours")
        return ImageResult(
            entry.index,
            entry.id,
            None if vector is None else vector_of_base64(vector),
            None if mi_map is None else mi_map_of(mi_map),
            None if hits is None else [*map(hit_of, hits)],
        )


@dataclass(frozen=True)
class UploadJob:
    """Items for the index, by POST /v1/items."""

    model: str | None
    most_bytes: int
    path: str = "/v1/items"
    content_type: str = "application/x-ndjson"

    @property
    def query(self) -> dict[str, str]:
        return {} if self.model is None else {"model": self.model}

    def body(self, entries: Sequence[tuple[Entry, bytes]]) -> bytes:
        return b"".join([_line(entry, content) for entry, content in entries])

    def result(self, entry: Entry, _line: dict[str, Any]) -> ItemStored:
        return ItemStored(entry.index, entry.id)


def image_entries(images: Iterable[Any]) -> Iterator[Entry]:
    """Number images; a pair is an id and an image."""
    for index, image in enumerate(images):
        if isinstance(image, tuple):
            name, content = image
            yield Entry(index, str(name), content)
        else:
            yield Entry(index, default_id(image, index), image)


def upload_entries(items: Iterable[UploadItem], first: int = 0) -> Iterator[Entry]:
    """Number items, the first one `first`."""
    for index, item in enumerate(items, first):
        vector = None if item.vector is None else np.asarray(item.vector, np.float64).tolist()
        yield Entry(index, item.id, item.image, vector, item.metadata)


def _line(entry: Entry, content: bytes) -> bytes:
    line: dict[str, Any] = {"id": entry.id}
    if entry.vector is None:
        line["image"] = base64.b64encode(content).decode("ascii")
    else:
        line["vector"] = entry.vector
    if entry.metadata:
        line["metadata"] = entry.metadata
    return json.dumps(line).encode() + b"\n"
