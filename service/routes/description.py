"""Parts of the OpenAPI document for bodies and parameters that the routes read themselves.

A parameter's name, limits, default and description are declared once, in the class that reads it.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from service.http.deadlines import HEADER, LONGEST_MS
from service.inputs.images import Layout
from service.inputs.parameters import Parameters

Schema = dict[str, Any]

IMAGE: Schema = {"type": "string", "description": "an encoded image as base64 or data URI"}
FILE: Schema = {"type": "string", "format": "binary"}

_TIMEOUT: Schema = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "time that the client waits; a request that cannot be answered in time is refused",
    "schema": {"type": "integer", "minimum": 1, "maximum": LONGEST_MS},
}
# OpenAI's clients send it as a member of JSON.
_JSON_ALONE = ("user",)
_STRUCTURED = ("array", "object")
_IN_PATH = re.compile(r"{(\w+)(?::path)?}")


def operation(
    path: str,
    kind: type[Parameters] | None = None,
    layout: Layout | None = None,
    *,
    timed: bool = False,
    without: Collection[str] = (),
) -> Schema:
    """Describe what a route reads.

    Args:
        path: template of its path.
        kind: its parameters.
        layout: where its images stand; None where its body is not of images and parameters.
        timed: whether a client can say how long it waits.
        without: names of parameters that mean nothing here.
    """
    schemas = _schemas(kind, without)
    parameters = [in_path(name) for name in _IN_PATH.findall(path)]
    parameters += [_TIMEOUT] if timed else []
    parameters += [_in_query(name, schema) for name, schema in _outside_json(schemas)]
    described: Schema = {"parameters": parameters} if parameters else {}
    if layout is not None:
        described["requestBody"] = _image_body(layout, schemas)
    return described


def json_body(kind: type[Parameters], without: Collection[str] = ()) -> Schema:
    """Describe an optional body of JSON that holds parameters alone."""
    schemas = _schemas(kind, without)
    return {"required": False, "content": {"application/json": {"schema": _object(schemas)}}}


def in_path(name: str) -> Schema:
    """Describe a parameter of the path."""
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def answers(*media_types: str) -> dict[int | str, Schema]:
    """Describe an answer in any of these formats, and every refusal as a problem."""
    content: dict[str, Schema] = {media_type: {} for media_type in media_types}
    return {200: {"description": "The answer.", "content": content}, **refusals()}


def refusals() -> dict[int | str, Schema]:
    """Describe every refusal as a problem."""
    problem = {"application/problem+json": {"schema": {"type": "object"}}}
    return {
        "4XX": {"description": "A refusal (RFC 9457) with a stable `code`.", "content": problem},
        "5XX": {"description": "A failure (RFC 9457) with a stable `code`.", "content": problem},
    }


def v2_answers(*media_types: str) -> dict[int | str, Schema]:
    """Describe an answer of the Open Inference Protocol, and every refusal in its form."""
    error = {"application/json": {"schema": {"type": "object", "required": ["error"]}}}
    return answers(*media_types) | {
        "4XX": {"description": "A refusal: `error` is a sentence, `code` is stable.", "content": error},
        "5XX": {"description": "A failure: `error` is a sentence, `code` is stable.", "content": error},
    }


def _image_body(layout: Layout, schemas: Mapping[str, Schema]) -> Schema:
    """Describe a body of one raw image, of a form, or of JSON."""
    named = dict.fromkeys(layout.named, IMAGE)
    image: Schema = {"anyOf": [IMAGE, {"type": "array", "items": IMAGE}]} if layout.several else IMAGE
    files: Schema = {"type": "array", "items": FILE} if layout.several else FILE
    form = {name: _as_text(schema) for name, schema in _outside_json(schemas)}
    fields = {"image": files, **dict.fromkeys(layout.named, FILE), **form}
    content = {
        "image/*": {"schema": FILE},
        "application/octet-stream": {"schema": FILE},
        "multipart/form-data": {"schema": {"type": "object", "properties": fields}},
        "application/json": {"schema": _object({layout.member: image, **named, **schemas})},
    }
    return {"required": True, "content": content}


def _object(properties: Mapping[str, Schema]) -> Schema:
    return {"type": "object", "properties": dict(properties), "additionalProperties": False}


def _outside_json(schemas: Mapping[str, Schema]) -> Iterator[tuple[str, Schema]]:
    return ((name, schema) for name, schema in schemas.items() if name not in _JSON_ALONE)


def _in_query(name: str, schema: Schema) -> Schema:
    """Describe a parameter of the query; an object or a list is the JSON text of one."""
    described: Schema = {"name": name, "in": "query", "required": False}
    if schema.get("type") in _STRUCTURED:
        return described | {"content": {"application/json": {"schema": schema}}}
    return described | {"schema": schema}


def _as_text(schema: Schema) -> Schema:
    """Describe a field of a form; an object or a list is the JSON text of one."""
    if schema.get("type") in _STRUCTURED:
        text = {"type": "string", "contentMediaType": "application/json", "contentSchema": schema}
        return text | {"description": schema["description"]}
    return schema


def _schemas(kind: type[Parameters] | None, without: Collection[str]) -> dict[str, Schema]:
    """Return the schema of each parameter, with its description."""
    found = kind.model_json_schema()["properties"] if kind else {}
    return {name: _plain(schema) for name, schema in found.items() if name not in without}


def _plain(schema: Schema) -> Schema:
    """Take out what pydantic adds: titles, and null, which means to leave a parameter out."""
    given = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    plain = {key: value for key, value in schema.items() if key not in ("title", "anyOf")}
    if given:
        (one,) = given
        plain = one | plain
    if plain.get("default", ...) is None:
        del plain["default"]
    return plain
