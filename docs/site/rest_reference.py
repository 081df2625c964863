"""Reference of the HTTP API, from the OpenAPI document that the service answers at `/openapi.json`."""

import json
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from fastapi import FastAPI

from service.app import ROUTERS

_HEAD = """# REST, route by route

Made from the OpenAPI document, which a running service shows at `/openapi.json` and, to try out, at `/docs`.
Conventions, examples and the meaning of answers: [HTTP API](../api.md).
Codes of refusals: [errors](../errors.md).
"""


def document() -> dict[str, Any]:
    """Make the OpenAPI document without a running service."""
    app = FastAPI(title="Infomax")
    for router in ROUTERS:
        app.include_router(router)
    return app.openapi()


def page() -> str:
    """Write every operation under the heading of its tag, in the order of the document."""
    operations = [
        (operation["tags"][0], f"{method.upper()} {path}", operation)
        for path, methods in document()["paths"].items()
        for method, operation in methods.items()
    ]
    order = list(dict.fromkeys(tag for tag, _, _ in operations))
    operations.sort(key=lambda one: order.index(one[0]))
    lines = [_HEAD]
    for tag, group in groupby(operations, key=lambda one: one[0]):
        lines.append(f"\n## {tag[0].upper()}{tag[1:]}\n")
        for _, title, operation in group:
            lines += _operation(title, operation)
    return "\n".join(lines) + "\n"


def _operation(title: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f"### `{title}`\n"
    yield f"{_sentence(operation['summary'])}\n"
    if operation.get("description"):
        yield f"{operation['description']}\n"
    parameters = operation.get("parameters", ())
    if parameters:
        yield "| parameter | in | type | default | what |\n| --- | --- | --- | --- | --- |"
        yield from (_parameter(one) for one in parameters)
        yield ""
    content = operation.get("requestBody", {}).get("content")
    if content:
        yield "| body | members |\n| --- | --- |"
        yield from (f"| `{kind}` | {_members(one.get('schema', {}))} |" for kind, one in content.items())
        yield ""
    yield "| status | answer |\n| --- | --- |"
    yield from (_answer(status, one) for status, one in operation["responses"].items())
    yield ""


def _parameter(parameter: dict[str, Any]) -> str:
    # Objects and lists are JSON in a query.
    schema = parameter.get("schema") or parameter["content"]["application/json"]["schema"]
    name = f"`{parameter['name']}`" + (" (required)" if parameter.get("required") else "")
    default = f"`{json.dumps(schema['default'])}`" if "default" in schema else ""
    what = parameter.get("description") or schema.get("description") or ""
    return f"| {name} | {parameter['in']} | {_type(schema)} | {default} | {_cell(what)} |"


def _type(schema: dict[str, Any]) -> str:
    """Name a type with its bounds, such as `integer, 1 to 1000`."""
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(one) for one in schema["anyOf"] if one.get("type") != "null"))
    kind = str(schema.get("type", "any"))
    if kind == "array":
        kind = f"list of {_type(schema.get('items', {}))}"
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f"{kind}, {low} to {high}"
    return kind if low is None else f"{kind}, from {low}"


def _members(schema: dict[str, Any]) -> str:
    if schema.get("format") == "binary" or "properties" not in schema:
        return _cell(schema.get("description", ""))
    required = schema.get("required", ())
    return ", ".join(
        f"`{name}`" + (" (required)" if name in required else "") for name in schema["properties"]
    )


def _answer(status: str, response: dict[str, Any]) -> str:
    kinds = ", ".join(f"`{kind}`" for kind in response.get("content", ()))
    return f"| {status} | {_cell(_sentence(response['description']))}{f' {kinds}' if kinds else ''} |"


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
