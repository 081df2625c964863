"""Answers as JSON; float32 is written in the shortest digits that give the same float32 again."""

import orjson
from starlette.responses import Response


def dump(value: object) -> bytes:
    """Write dicts, lists, plain values, times and C-contiguous NumPy arrays as JSON in UTF-8."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def json_response(value: object, status: int = 200) -> Response:
    """Make an answer of the JSON of a value."""
    return Response(dump(value), status, media_type="application/json")
