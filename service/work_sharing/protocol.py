"""Protocol between workers: requests of encoded images, answers of their outcomes.

A message is the length of a JSON head, the head, and the bytes that it describes. The sockets lie in a folder
that only the service can read.
"""

import asyncio
import struct
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from service.inference.peers import PeerRequest
from service.inference.results import Embedded, Failed, ImageInfo, Outcome, Want

_LENGTH = struct.Struct(">I")


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
    arrays = [np.stack(rows) for rows in _rows(embedded)] if embedded else []
    shapes = [array.shape for array in arrays]
    head = {"outcomes": [_head_of(outcome) for outcome in outcomes], "shapes": shapes}
    _write(writer, head, [array.tobytes() for array in arrays])


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
    arrays = [await _read_array(reader, shape) for shape in head["shapes"]]
    rows = iter(zip(*arrays, strict=True))
    return [
        Failed(*fields) if failed else Embedded(ImageInfo(*fields), *next(rows))
        for failed, *fields in head["outcomes"]
    ]


def _rows(embedded: Sequence[Embedded]) -> list[list[NDArray[np.float32]]]:
    """Return the arrays of all images, field by field, in the order of `Embedded`."""
    fields = [[one.embedding for one in embedded], [one.code for one in embedded]]
    maps = [one.mi_map for one in embedded if one.mi_map is not None]
    errors = [one.standard_error for one in embedded if one.standard_error is not None]
    return [*fields, *filter(None, (maps, errors))]


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
