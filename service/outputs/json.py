"""Answers as JSON; float32 arrays are written as the shortest digits that give the same float32 again."""

import orjson
from starlette.responses import Response


def dump(value: object) -> bytes:
    """UTF-8 JSON of dicts, lists, plain values, times and C-contiguous NumPy arrays."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def json_response(value: object, status: int = 200) -> Response:
    """An answer of `dump`'s JSON."""
    return Response(dump(value), status, media_type="application/json")
