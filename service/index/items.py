"""What is put into the index and what comes out of it, with the rules for ids, metadata and vectors."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

import numpy as np
import orjson
from numpy.typing import NDArray

from service.errors import ServiceError

JSON = None | bool | int | float | str | Sequence["JSON"] | Mapping[str, "JSON"]
Metadata = Mapping[str, JSON]

MAX_ID_BYTES = 512
MAX_METADATA_BYTES = 16 * 1024
MAX_METADATA_DEPTH = 16
_SHOWN = 40


@dataclass(frozen=True)
class NewItem:
    """One item to be stored; an older one of the same id is replaced as a whole.

    Attributes:
        id: as `check_id` allows.
        vector: float32 [D], of length one.
        metadata: as `check_object` allows.
        code: float32 [Y], E(x), from which the critic explains a hit; None for a bare vector.
        width, height: size of the image in pixels, upright; None for a bare vector.
        format: name of the image's encoded format; None for a bare vector.
        thumbnail: encoded JPEG or PNG; None for a bare vector.
        original: encoded bytes as they came, where the database keeps them.
        original_sha256: their digest, where the database or a folder keeps them.
        updated: time of the put that made it what it is; None for now. One call has it for all items or none.
        cells: float16 [P, U], as `CellGrid.pool` makes them, where they are kept; None for a bare vector.
    """

    id: str
    vector: NDArray[np.float32]
    metadata: Metadata = field(default_factory=dict)
    code: NDArray[np.float32] | None = None
    width: int | None = None
    height: int | None = None
    format: str | None = None
    thumbnail: bytes | None = None
    original: bytes | None = None
    original_sha256: bytes | None = None
    updated: datetime | None = None
    cells: NDArray[np.float16] | None = None


@dataclass(frozen=True)
class StoredPicture:
    """What is kept of one item's image; fields as in `NewItem`."""

    id: str
    width: int | None
    height: int | None
    format: str | None
    thumbnail: bytes | None
    original: bytes | None
    original_sha256: bytes | None


@dataclass(frozen=True)
class StoredItem:
    """One item as it is stored; fields as in `NewItem`, `updated` is the time of the last put."""

    id: str
    vector: NDArray[np.float32]
    metadata: Metadata
    width: int | None
    height: int | None
    format: str | None
    updated: datetime


@dataclass(frozen=True)
class ListedItem:
    """One item of a list; fields as in `StoredItem`, without its vector."""

    id: str
    metadata: Metadata
    width: int | None
    height: int | None
    format: str | None
    updated: datetime


@dataclass(frozen=True)
class Neighbour:
    """One hit.

    Attributes:
        score: cosine similarity to the query, in [-1, 1].
        code: float32 [Y] of the hit, where asked for and stored.
        region: left, top, width and height in pixels of the hit, where it was searched by a region.
    """

    id: str
    score: float
    metadata: Metadata
    code: NDArray[np.float32] | None = None
    region: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class SpaceStatistics:
    """What the index holds for one model version.

    Attributes:
        model: `name/version`.
        preprocessing_sha256, encoder_sha256: the rest of what makes vectors comparable.
        dimensions: length of a vector.
        items: number of items.
        bytes: on disk, with all indexes.
        search: `exact` compares with every item, `hnsw` walks an approximate graph.
        build: how much of the graph is built, from 0 to 1, while it is being built.
        cells: number of cells, by which parts of images are found.
        cell_bytes: of the cells on disk, with all indexes; not among `bytes`.
        cell_search: as `search`, of the cells.
        items_without_regions: items that no search by a region finds, because they have no cells.
    """

    model: str
    preprocessing_sha256: str
    encoder_sha256: str
    dimensions: int
    items: int
    bytes: int
    search: str
    build: float | None
    cells: int = 0
    cell_bytes: int = 0
    cell_search: str = "exact"
    items_without_regions: int = 0


@dataclass(frozen=True)
class IndexStatistics:
    """The database behind the index and what it holds, one entry per model version."""

    postgresql: str
    pgvector: str
    spaces: tuple[SpaceStatistics, ...]


def check_id(value: object) -> str:
    """An item's id: 1 to 512 bytes of UTF-8, without control characters and without `.` or `..` as a segment.

    Ids may look like paths (`cats/1.jpg`); a dot segment would be resolved away by HTTP clients.

    Raises:
        ServiceError: 422 `invalid_id`.
    """
    if not isinstance(value, str) or not value:
        raise _invalid("id", "The id of an item is a string of at least one character.")
    shown = ascii(value[:_SHOWN])
    if has_control(value):
        raise _invalid("id", f"The id {shown} has a control character. Leave it out.")
    size = len(value.encode())
    if size > MAX_ID_BYTES:
        raise _invalid(
            "id",
            f"The id {shown}... has {size} bytes, the limit is {MAX_ID_BYTES}. Shorten it.",
            MAX_ID_BYTES,
        )
    if any(segment in (".", "..") for segment in value.split("/")):
        raise _invalid("id", f"The id {shown} has a . or .. between slashes. Write it without.")
    return value


def has_control(text: str) -> bool:
    """Whether a text holds a control character or half of a surrogate pair, which no id may."""
    return any(unicodedata.category(character) in ("Cc", "Cs") for character in text)


def check_object(value: object, name: str = "metadata") -> Metadata:
    """Metadata, or a filter on it: a JSON object of bounded size and depth that PostgreSQL can hold.

    Args:
        value: as a JSON parser returned it.
        name: what it is, for the code and the message.

    Raises:
        ServiceError: 422 `invalid_<name>`.
    """
    if not isinstance(value, dict):
        raise _invalid(name, f'The {name} must be a JSON object like {{"label": "cat"}}.')
    if _depth(value) > MAX_METADATA_DEPTH:
        raise _invalid(
            name,
            f"The {name} is nested deeper than {MAX_METADATA_DEPTH} levels. Flatten it.",
            MAX_METADATA_DEPTH,
        )
    try:
        text = orjson.dumps(value)
    except TypeError as error:
        raise _invalid(
            name, f"The {name} holds an integer of more than 64 bits. Write it as a string."
        ) from error
    if len(text) > MAX_METADATA_BYTES:
        raise _invalid(
            name,
            f"The {name} has {len(text):,} bytes as JSON, the limit is {MAX_METADATA_BYTES:,}. Shorten it.",
            MAX_METADATA_BYTES,
        )
    if b"\\u0000" in text:
        raise _invalid(name, f"The {name} has a character U+0000, which cannot be stored. Leave it out.")
    return cast("Metadata", value)


def _invalid(name: str, message: str, limit: int | None = None) -> ServiceError:
    return ServiceError(422, f"invalid_{name}", message, limit=limit)


def _depth(value: object) -> int:
    """Levels of nesting, counted without recursion and no further than needed."""
    level: list[object] = [value]
    depth = 0
    while level and depth <= MAX_METADATA_DEPTH:
        below: list[object] = []
        for part in level:
            if isinstance(part, dict):
                below.extend(part.values())
            elif isinstance(part, list):
                below.extend(part)
        depth += any(isinstance(part, dict | list) for part in level)
        level = below
    return depth
