"""What a request says besides its images: members of JSON, fields of a form, parameters of the query.

One name means the same in all three places, and a name that nobody reads is refused, because it is
nearly always a slip.
"""

import reprlib
from collections.abc import Iterable, Mapping
from typing import TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from service.errors import ServiceError

_SHOWN = 40
_UNKNOWN = "extra_forbidden"


class Parameters(BaseModel):
    """The base of every route's parameters.

    Attributes:
        model: which model is to answer, `name` or `name/version`; default the default one.
        user: some OpenAI clients send it; it is not read.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str | None = None
    user: object = None


P = TypeVar("P", bound=BaseModel)
T = TypeVar("T")


def parse(kind: type[P], members: Mapping[str, object]) -> P:
    """Check the members of a request.

    Raises:
        ServiceError: 422 `invalid_parameter`, naming the first that is not allowed and what is.
    """
    try:
        return kind.model_validate(members)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=True)[0]
    name = ".".join(map(str, first["loc"]))
    if first["type"] == _UNKNOWN:
        known = ", ".join(kind.model_fields)
        raise refused(f"There is no parameter {name[:_SHOWN]!a} here; there are {known}.")
    context = first.get("ctx", {})
    limit = context.get("le", context.get("ge"))
    reason = first["msg"].removeprefix("Value error, ")
    raise refused(
        f"{name}={reprlib.repr(first['input'])} is not allowed: {reason[0].lower()}{reason[1:]}.",
        limit=limit if isinstance(limit, int) else None,
    )


def merge(*sources: Iterable[tuple[str, T]]) -> dict[str, T]:
    """The members of all sources together.

    Raises:
        ServiceError: 422 `invalid_parameter` for a name that comes twice.
    """
    members: dict[str, T] = {}
    for source in sources:
        for name, value in source:
            if name in members:
                raise refused(f"The parameter {name[:_SHOWN]!a} is given twice; give it once.")
            members[name] = value
    return members


def parsed_json(value: object) -> object:
    """A member that is an object or a list: in a query or a form it is the JSON text of one.

    Raises:
        ValueError: the text is no JSON; pydantic makes a refusal of it.
    """
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"it must be JSON ({error})") from error


def refused(message: str, limit: int | None = None) -> ServiceError:
    """The refusal of a parameter."""
    return ServiceError(422, "invalid_parameter", message, limit=limit)
