"""Answers as JSON; float32 arrays are written as the shortest digits that give the same float32 again."""

import orjson


def dump(value: object) -> bytes:
    """UTF-8 JSON of dicts, lists, plain values, times and C-contiguous NumPy arrays."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
