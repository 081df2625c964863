"""Protocol between workers: requests of encoded images, answers of their outcomes.

A message is the length of a JSON head, the head, and the bytes that it describes. The sockets lie in a folder
that only the service can read.
"""

import asyncio
import struct
from collections.abc import Mapping, Sequence
from itertools import accumulate, count, pairwise
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from service.inference.peers import PeerRequest
from service.inference.results import Embedded, Failed, ImageInfo, Outcome, Projections, Want

_LENGTH = struct.Struct(">I")
_FIELDS = ("embedding", "code", "mi_map", "standard_error")
_PROJECTIONS = ("local", "global_", "local_log_normaliser")


def write_request(writer: asyncio.StreamWriter, request: PeerRequest) -> None:
    """Write a request."""
    sizes = [len(image) for image in request.images]
    _write(writer, {"model": request.model, "want": request.want, "sizes": sizes}, request.images)


async def read_request(reader: asyncio.StreamReader) -> PeerRequest | None:
    """Read the next request; None where the connection has ended.

    Raises:
        asyncio.IncompleteReadError: the connection ended within the request.
    """
    if (head := await _read_head(reader)) is None:
        return None
    content = await reader.readexactly(sum(head["sizes"]))
    ends = list(accumulate(head["sizes"], initial=0))
    images = [content[start:end] for start, end in pairwise(ends)]
    return PeerRequest(head["model"], Want(head["want"]), images)


def write_answer(writer: asyncio.StreamWriter, outcomes: Sequence[Outcome] | None) -> None:
    """Write one outcome for each image, or None where the worker does not answer."""
    if outcomes is None:
        _write(writer, {"outcomes": None})
        return
    embedded = [outcome for outcome in outcomes if isinstance(outcome, Embedded)]
    arrays = {name: np.stack(rows) for name, rows in _rows(embedded).items()}
    shapes = {name: array.shape for name, array in arrays.items()}
    head = {"outcomes": [_head_of(outcome) for outcome in outcomes], "shapes": shapes}
    _write(writer, head, [array.tobytes() for array in arrays.values()])


async def read_answer(reader: asyncio.StreamReader) -> list[Outcome] | None:
    """Read what `write_answer` wrote.

    Raises:
        asyncio.IncompleteReadError: the connection ended.
    """
    head = await _read_head(reader)
    if head is None:
        raise asyncio.IncompleteReadError(b"", None)
    if head["outcomes"] is None:
        return None
    arrays = {name: await _read_array(reader, shape) for name, shape in head["shapes"].items()}
    rows = count()
    return [
        Failed(*fields) if failed else _embedded(ImageInfo(*fields), arrays, next(rows))
        for failed, *fields in head["outcomes"]
    ]


def _rows(embedded: Sequence[Embedded]) -> dict[str, list[NDArray[np.float32]]]:
    """Return the arrays of all images, by the names of the fields; those that no image has are left out."""
    fields: dict[str, list[NDArray[np.float32]]] = {
        name: [value for one in embedded if (value := getattr(one, name)) is not None] for name in _FIELDS
    }
    projections = [one.projections for one in embedded if one.projections is not None]
    fields |= {name: [getattr(one, name) for one in projections] for name in _PROJECTIONS}
    return {name: rows for name, rows in fields.items() if rows}


def _embedded(image: ImageInfo, arrays: Mapping[str, NDArray[np.float32]], row: int) -> Embedded:
    own = {name: array[row] for name, array in arrays.items()}
    projections = {name: own.pop(name) for name in _PROJECTIONS if name in own}
    return Embedded(image, **own, projections=Projections(**projections) if projections else None)


def _head_of(outcome: Outcome) -> list[object]:
    if isinstance(outcome, Failed):
        return [True, outcome.code, outcome.message, outcome.limit]
    image = outcome.image
    return [False, image.format, image.original_width, image.original_height]


def _write(writer: asyncio.StreamWriter, head: object, parts: Sequence[bytes] = ()) -> None:
    text = orjson.dumps(head)
    writer.writelines([_LENGTH.pack(len(text)), text, *parts])


async def _read_head(reader: asyncio.StreamReader) -> Any:
    try:
        length = await reader.readexactly(_LENGTH.size)
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    return orjson.loads(await reader.readexactly(*_LENGTH.unpack(length)))


async def _read_array(reader: asyncio.StreamReader, shape: Sequence[int]) -> NDArray[np.float32]:
    array = np.empty(shape, np.float32)
    array.data.cast("B")[:] = await reader.readexactly(array.nbytes)
    return array
