"""Messages between workers: encoded images, and their outcomes.

A message is a head in JSON behind its length, and then bytes that the head describes. They go through a
socket in a folder that is the service's own.
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
    """Send a request."""
    sizes = [len(image) for image in request.images]
    _write(writer, {"model": request.model, "want": request.want, "sizes": sizes}, request.images)


async def read_request(reader: asyncio.StreamReader) -> PeerRequest | None:
    """Read the next request; None where the connection ended.

    Raises:
        asyncio.IncompleteReadError: the other side went away in its middle.
    """
    if (head := await _read_head(reader)) is None:
        return None
    together = await reader.readexactly(sum(head["sizes"]))
    ends = list(accumulate(head["sizes"], initial=0))
    images = [together[start:end] for start, end in pairwise(ends)]
    return PeerRequest(head["model"], Want(head["want"]), images)


def write_answer(writer: asyncio.StreamWriter, outcomes: Sequence[Outcome] | None) -> None:
    """Put one outcome for each image on its way, or None where nothing was answered."""
    if outcomes is None:
        _write(writer, {"outcomes": None})
        return
    good = [outcome for outcome in outcomes if isinstance(outcome, Embedded)]
    arrays = [np.stack(rows) for rows in _rows(good)] if good else []
    shapes = [array.shape for array in arrays]
    head = {"outcomes": [_described(outcome) for outcome in outcomes], "shapes": shapes}
    _write(writer, head, [array.tobytes() for array in arrays])


async def read_answer(reader: asyncio.StreamReader) -> list[Outcome] | None:
    """What `write_answer` wrote.

    Raises:
        asyncio.IncompleteReadError: the other side went away.
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


def _rows(good: Sequence[Embedded]) -> list[list[NDArray[np.float32]]]:
    """The arrays of all answers, kind by kind, in the order of the fields of `Embedded`."""
    kinds = [[one.embedding for one in good], [one.code for one in good]]
    maps = [one.mi_map for one in good if one.mi_map is not None]
    return [*kinds, maps] if maps else kinds


def _described(outcome: Outcome) -> list[object]:
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
