"""Parts of the OpenAPI document for bodies and parameters that the routes read themselves."""

from typing import Any

from service.http.deadlines import HEADER, LONGEST_MS

_BYTES = {"schema": {"type": "string", "format": "binary"}}


def body(json: dict[str, Any], form: dict[str, Any]) -> dict[str, Any]:
    """Describe a request body of one raw image, of a form, or of JSON.

    Args:
        json: schema of each member.
        form: schema of each field.
    """
    content = {
        "image/*": _BYTES,
        "application/octet-stream": _BYTES,
        "multipart/form-data": {"schema": {"type": "object", "properties": form}},
        "application/json": {"schema": {"type": "object", "properties": json, "additionalProperties": False}},
    }
    return {"required": True, "content": content}


def query(**schemas: dict[str, Any]) -> list[dict[str, Any]]:
    """Describe optional parameters of the query, with the schema of each."""
    return [{"name": name, "in": "query", "required": False, "schema": schemas[name]} for name in schemas]


def in_path(name: str) -> dict[str, Any]:
    """Describe a parameter of the path."""
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def answers(*media_types: str) -> dict[int | str, dict[str, Any]]:
    """Describe an answer in any of these formats, and every refusal as a problem."""
    content: dict[str, dict[str, Any]] = {media_type: {} for media_type in media_types}
    return {200: {"description": "The answer.", "content": content}, **refusals()}


def refusals() -> dict[int | str, dict[str, Any]]:
    """Describe every refusal as a problem."""
    problem = {"application/problem+json": {"schema": {"type": "object"}}}
    return {
        "4XX": {"description": "A refusal (RFC 9457) with a stable `code`.", "content": problem},
        "5XX": {"description": "A failure (RFC 9457) with a stable `code`.", "content": problem},
    }


def v2_answers(*media_types: str) -> dict[int | str, dict[str, Any]]:
    """Describe an answer of the Open Inference Protocol, and every refusal in its form."""
    error = {"application/json": {"schema": {"type": "object", "required": ["error"]}}}
    return answers(*media_types) | {
        "4XX": {"description": "A refusal: `error` is a sentence, `code` is stable.", "content": error},
        "5XX": {"description": "A failure: `error` is a sentence, `code` is stable.", "content": error},
    }


IMAGE = {"type": "string", "description": "an encoded image as base64 or data URI"}
FILE = {"type": "string", "format": "binary"}
FILES = {"type": "array", "items": FILE}
TIMEOUT: dict[str, Any] = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "time that the client waits; a request that cannot be answered in time is refused",
    "schema": {"type": "integer", "minimum": 1, "maximum": LONGEST_MS},
}
MODEL = {"type": "string", "description": "which of the served models, by name or name/version"}
