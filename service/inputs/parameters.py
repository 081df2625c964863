"""Parameters of a request: members of JSON, fields of a form, parameters of the query.

One name means the same in all three places. JSON has types, and they count: `true` and `"1"` are not numbers.
In a query or a form everything is text. An unknown name is refused, since it is nearly always a slip.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, TypeVar, cast, get_args

from fastapi import Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema
from pydantic_core import ErrorDetails

from service.errors import ServiceError
from service.inputs.json_text import read_json, shown

_SHOWN = 40
_UNKNOWN = "extra_forbidden"
# What pydantic calls by the names of Python, or of classes.
_EXPECTED = {
    "model_type": "it must be an object",
    "model_attributes_type": "it must be an object",
    "dict_type": "it must be an object",
    "list_type": "it must be a list",
    "tuple_type": "it must be a list",
    "string_type": "it must be a string",
    "int_type": "it must be an integer",
    "int_from_float": "it must be an integer",
    "int_parsing": "it must be an integer",
    "int_parsing_size": "it must be an integer of at most 64 bits",
    "bool_type": "it must be true or false",
    "bool_parsing": "it must be true or false",
    "float_type": "it must be a number",
    "too_short": "it must not be empty",
}


class Text(str):
    """A parameter of a query or a form, whose type is not known yet."""

    __slots__ = ()


class Parameters(BaseModel):
    """Base of every route's parameters. The OpenAPI document is made from them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str | None = Field(
        default=None,
        description="which of the served models answers, by name or name/version; by default the first",
    )
    user: object = Field(default=None, description="not read; OpenAI's clients send it")


P = TypeVar("P", bound=BaseModel)
T = TypeVar("T")


def parse(kind: type[P], members: Mapping[str, object], images: Sequence[str] = ()) -> P:
    """Check the members of a request: texts by what they say, all others by their type too.

    Args:
        kind: model of the parameters.
        members: of the request, without its images.
        images: names of the members that hold images, which a refusal lists beside the parameters.

    Raises:
        ServiceError: 422 `invalid_parameter`, naming the first that is not allowed and what is.
    """
    texts = {name: value for name, value in members.items() if isinstance(value, Text)}
    typed = {name: value for name, value in members.items() if name not in texts}
    try:
        if not members and kind.model_config.get("frozen"):
            return cast("P", _defaults(kind))
        parsed = kind.model_validate(typed, strict=True)
        if not texts:
            return parsed
        more = kind.model_validate(texts)
    except ValidationError as error:
        raise _refusal(kind, error.errors(include_url=False)[0], images) from None
    return parsed.model_copy(update={name: getattr(more, name) for name in more.model_fields_set})


@cache
def _defaults(kind: type[BaseModel]) -> BaseModel:
    """Return the parameters of a request that names none; most name none."""
    return kind.model_validate({}, strict=True)


def _refusal(kind: type[BaseModel], first: ErrorDetails, images: Sequence[str]) -> ServiceError:
    *above, last = first["loc"] or ("",)
    name = ".".join(map(str, first["loc"]))
    if first["type"] == _UNKNOWN:
        known = ", ".join([*([] if above else images), *_model_at(kind, above).model_fields])
        where = f"in {'.'.join(map(str, above))}" if above else "here"
        return refused(f"There is no parameter {str(last)[:_SHOWN]!a} {where}. There are {known}.")
    if first["type"] == "missing":
        return refused(f"The parameter {name} is missing.")
    context = first.get("ctx", {})
    limit = context.get("le", context.get("ge"))
    reason = _EXPECTED.get(first["type"]) or first["msg"].removeprefix("Value error, ")
    value = first["input"]
    text = f"{value[:_SHOWN]!a}" if isinstance(value, str) else shown(value)
    return refused(
        f"{name}={text} is not allowed: {reason[0].lower()}{reason[1:]}.",
        limit=limit if isinstance(limit, int) else None,
    )


def _model_at(kind: type[BaseModel], path: Iterable[object]) -> type[BaseModel]:
    """Return the model that stands at a place of another one, such as `inputs`, 0, `parameters`."""
    for step in path:
        if isinstance(step, str) and step in kind.model_fields:
            kind = _model_in(kind.model_fields[step].annotation) or kind
    return kind


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for one in get_args(annotation) if (found := _model_in(one))), None)


def query_of(request: Request) -> list[tuple[str, Text]]:
    """Return the parameters of the query, in its order."""
    if not request.scope["query_string"]:
        return []
    return [(name, Text(value)) for name, value in request.query_params.multi_items()]


def merge(*sources: Iterable[tuple[str, T]]) -> dict[str, T]:
    """Put the members of all sources together.

    Raises:
        ServiceError: 422 `invalid_parameter` for a name that comes twice.
    """
    members: dict[str, T] = {}
    for source in sources:
        for name, value in source:
            if name in members:
                raise refused(f"The parameter {name[:_SHOWN]!a} is given twice. Give it once.")
            members[name] = value
    return members


def parsed_json(value: object) -> object:
    """Return a member that is an object or a list: in a query or a form it is the JSON text of one.

    Raises:
        ValueError: the text is not JSON; pydantic makes a refusal of it.
    """
    if not isinstance(value, Text):
        return value
    try:
        return read_json(str(value))
    except ValueError as error:
        raise ValueError(f"it must be JSON ({error})") from error


JsonObject = Annotated[object, BeforeValidator(parsed_json), WithJsonSchema({"type": "object"})]
"""An object, whose members are checked where it is used."""

JsonVector = Annotated[
    object,
    BeforeValidator(parsed_json),
    WithJsonSchema({"type": "array", "items": {"type": "number"}}),
]
"""A vector, whose numbers are checked where it is used."""

JsonPairs = Annotated[
    object,
    BeforeValidator(parsed_json),
    WithJsonSchema({"type": "array", "items": {"type": "array", "items": {"type": "integer"}}}),
]
"""A list of pairs of integers, which are checked where they are used."""

JsonExamples = Annotated[
    object,
    BeforeValidator(parsed_json),
    WithJsonSchema({"type": "array", "items": {"type": "object"}}),
]
"""A list of examples, which are checked where they are used."""


def refused(message: str, limit: int | None = None) -> ServiceError:
    """Make the refusal of a parameter."""
    return ServiceError(422, "invalid_parameter", message, limit=limit)
