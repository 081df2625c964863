"""Requests to the service that are answered as a whole, and how their answers are read.

Nothing here sends: a call is the same for both clients.
"""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import quote

import httpx
import numpy as np

from infomax.client.answers import item_of, mi_map_of, model_of, neighbours_of
from infomax.client.results import Embeddings, IndexedItem, MiMaps, Neighbours, ServedModel

T = TypeVar("T")
Recall = Literal["exact", "high", "fast"]
MapKind = Literal["information", "contribution", "contrast"]
Filter = Mapping[str, Any]
Part = tuple[str, tuple[str, bytes, str]]
_BINARY = "application/octet-stream"
_PAGE = 1000


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request.

    Attributes:
        method: of HTTP.
        path: below the service's address.
        read: reads a good answer.
        query: parameters.
        headers: beside those that every request has.
        content: the body.
        parts: the body's parts, where it is a form.
    """

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    parts: Sequence[Part] | None = None


@dataclass(frozen=True)
class SearchOptions:
    """Options of a search, as in docs/api.md: Neighbours."""

    k: int = 10
    filter: Filter | None = None
    recall: Recall | None = None
    min_score: float | None = None
    region: Sequence[float] | None = None
    patches: Sequence[Sequence[int]] | None = None

    def query(self) -> dict[str, str]:
        """Write them as parameters of the query."""
        return _given(
            k=str(self.k),
            filter=None if self.filter is None else json.dumps(self.filter),
            recall=self.recall,
            min_score=None if self.min_score is None else repr(float(self.min_score)),
            region=None if self.region is None else json.dumps([*map(float, self.region)]),
            patches=None if self.patches is None else json.dumps([[*map(int, one)] for one in self.patches]),
        )


@dataclass(frozen=True)
class ItemPage:
    """Page of a list of items; `next` is where the next one begins."""

    items: Sequence[IndexedItem]
    next: str | None


def embeddings(images: Sequence[bytes], dimensions: int | None, model: str | None) -> Call[Embeddings]:
    def read(answer: httpx.Response) -> Embeddings:
        vectors = np.lib.format.read_array(io.BytesIO(answer.content), allow_pickle=False)
        return Embeddings(vectors, answer.headers.get("X-Model", ""))

    query = _given(dimensions=None if dimensions is None else str(dimensions), model=model)
    return Call(
        "POST", "/v1/embeddings", read, query, {"Accept": "application/x-npy"}, parts=_parts("image", images)
    )


def mi_maps(
    images: Sequence[bytes],
    reference: bytes | None,
    kind: MapKind | None,
    resolution: int | None,
    model: str | None,
) -> Call[MiMaps]:
    def read(answer: httpx.Response) -> MiMaps:
        body = answer.json()
        maps = [*map(mi_map_of, body["data"])]
        return MiMaps(
            maps, body["model"], body["kind"], body["estimator"], body["joint"], body.get("measured")
        )

    parts = _parts("image", images) + ([] if reference is None else _parts("reference", [reference]))
    finer = None if resolution is None else str(resolution)
    return Call("POST", "/v1/mi-maps", read, _given(kind=kind, resolution=finer, model=model), parts=parts)


def neighbours(
    image: bytes | None,
    item: str | None,
    vector: Any,
    options: SearchOptions,
    explain: bool,
    model: str | None,
    maps: Sequence[MapKind],
    embedding: bool,
) -> Call[Neighbours]:
    def read(answer: httpx.Response) -> Neighbours:
        return neighbours_of(answer.json())

    if sum(one is not None for one in (image, item, vector)) != 1:
        raise ValueError("Search by one of an image, an id and a vector.")
    query = options.query() | _given(
        model=model,
        explain="true" if explain else None,
        maps=",".join(maps) or None,
        embedding="true" if embedding else None,
    )
    if image is not None:
        return _with_image("POST", "/v1/neighbours", read, query, image)
    body = {"id": item} if vector is None else {"vector": _numbers(vector)}
    return _with_json("POST", "/v1/neighbours", read, query, body)


def put_item(
    item: str, image: bytes | None, vector: Any, metadata: Filter | None, model: str | None
) -> Call[None]:
    path = _item_path(item)
    if (image is None) == (vector is None):
        raise ValueError("Store one of an image and a vector.")
    query = _given(model=model, metadata=None if metadata is None else json.dumps(metadata))
    if image is not None:
        return _with_image("PUT", path, _nothing, query, image)
    return _with_json("PUT", path, _nothing, query, {"vector": _numbers(vector)})


def get_item(item: str, model: str | None) -> Call[IndexedItem]:
    def read(answer: httpx.Response) -> IndexedItem:
        body = answer.json()
        return item_of(body, body["model"])

    return Call("GET", _item_path(item), read, _given(model=model))


def delete_item(item: str, model: str | None) -> Call[None]:
    return Call("DELETE", _item_path(item), _nothing, _given(model=model))


def list_items(prefix: str, filter_: Filter | None, after: str, model: str | None) -> Call[ItemPage]:
    def read(answer: httpx.Response) -> ItemPage:
        body = answer.json()
        return ItemPage([item_of(one, body["model"]) for one in body["items"]], body["next"])

    passing = None if filter_ is None else json.dumps(filter_)
    query = _given(prefix=prefix, filter=passing, after=after, limit=str(_PAGE), model=model)
    return Call("GET", "/v1/items", read, query)


def delete_items(prefix: str, model: str | None) -> Call[int]:
    def read(answer: httpx.Response) -> int:
        return int(answer.json()["deleted"])

    return Call("DELETE", "/v1/items", read, _given(prefix=prefix, model=model))


def index_statistics(model: str | None) -> Call[dict[str, Any]]:
    def read(answer: httpx.Response) -> dict[str, Any]:
        body: dict[str, Any] = answer.json()
        return body

    return Call("GET", "/v1/index", read, _given(model=model))


def index_plane(limit: int | None, model: str | None) -> Call[dict[str, Any]]:
    def read(answer: httpx.Response) -> dict[str, Any]:
        body: dict[str, Any] = answer.json()
        return body

    query = _given(limit=None if limit is None else str(limit), model=model)
    return Call("GET", "/v1/index/plane", read, query)


def models() -> Call[list[ServedModel]]:
    def read(answer: httpx.Response) -> list[ServedModel]:
        return [*map(model_of, answer.json()["data"])]

    return Call("GET", "/v1/models", read)


def model(name: str) -> Call[ServedModel]:
    return Call("GET", f"/v1/models/{quote(name)}", lambda answer: model_of(answer.json()))


def load_model(name: str, version: int | None) -> Call[ServedModel]:
    query = _given(version=None if version is None else str(version))
    path = f"/v1/models/{quote(name)}/load"
    return Call("POST", path, lambda answer: model_of(answer.json()), query)


def _with_image(
    method: str, path: str, read: Callable[[httpx.Response], T], query: Mapping[str, str], image: bytes
) -> Call[T]:
    return Call(method, path, read, query, {"Content-Type": _BINARY}, content=image)


def _with_json(
    method: str, path: str, read: Callable[[httpx.Response], T], query: Mapping[str, str], body: object
) -> Call[T]:
    content = json.dumps(body).encode()
    return Call(method, path, read, query, {"Content-Type": "application/json"}, content=content)


def _parts(name: str, images: Sequence[bytes]) -> list[Part]:
    return [(name, (str(place), image, _BINARY)) for place, image in enumerate(images)]


def _item_path(item: str) -> str:
    return f"/v1/items/{quote(item)}"


def _numbers(vector: Any) -> list[float]:
    numbers: list[float] = np.asarray(vector, np.float64).tolist()
    return numbers


def _nothing(_answer: httpx.Response) -> None:
    return None


def _given(**values: str | None) -> dict[str, str]:
    """Leave out what was not given."""
    return {name: value for name, value in values.items() if value is not None}
