"""JSON as clients send it: RFC 8259, with a byte order mark or without, and no number changed in silence."""

import json
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import orjson

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# From here on the parser makes an integer a float, which holds its first 16 digits.
_LARGE = 2.0**63
_SHOWN = 60


def read_json(text: bytes | str, vector: str | None = None) -> Any:
    """Parse JSON; integers of any length stay integers, so that the rules for metadata can refuse them.

    Lists of an object are not looked into where all they hold is numbers in range: they are vectors.

    Args:
        text: in UTF-8.
        vector: name of a member of an object that is a vector, and is not looked into.

    Raises:
        ValueError: the text is not JSON.
    """
    if isinstance(text, bytes):
        text = text.removeprefix(BYTE_ORDER_MARK)
    value = orjson.loads(text)
    if isinstance(value, dict) and _holds_large([value[name] for name in value if name != vector]):
        # Deeper than the interpreter's stack: the rules for metadata refuse it as it is.
        with suppress(RecursionError):
            return json.loads(text)
    return value


def shown(value: object) -> str:
    """Return a value as JSON for a message, no longer than a message should be."""
    try:
        text = orjson.dumps(value, default=str).decode()
    except (TypeError, ValueError):
        text = str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _holds_large(value: object) -> bool:
    """Tell whether a number anywhere in the value may have been an integer of more than 64 bits."""
    level: list[object] = [value]
    while level:
        below: list[object] = []
        for part in level:
            if isinstance(part, dict):
                below.extend(part.values())
            elif isinstance(part, list):
                if not _is_vector(part):
                    below.extend(part)
            elif isinstance(part, float) and abs(part) >= _LARGE:
                return True
        level = below
    return False


def _is_vector(values: list[Any]) -> bool:
    """Tell whether a list holds nothing but numbers in range, or nothing but text."""
    kinds: Iterable[type] = set(map(type, values))
    if kinds == {str}:
        return True
    return bool(values) and set(kinds) <= {int, float} and -_LARGE < min(values) <= max(values) < _LARGE
