"""Words of the filter language, and which objects of a filter hold operators."""

from collections.abc import Mapping

from service.errors import ServiceError
from service.index.items import JSON

COMPARISONS = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
OPERATORS = ("eq", "in", *COMPARISONS, "prefix", "not")
"""What a field is compared by."""

CONNECTIVES = ("and", "or", "not")
"""What joins filters."""

# Names of such operators elsewhere. A field within an object may be called so; far more often it is a slip.
_FOREIGN = frozenset(
    {"ne", "neq", "nin", "not_in", "ge", "le", "between", "range", "like", "ilike", "regex", "match"}
    | {"contains", "exists", "starts_with", "startswith", "any", "all"}
)
_MOST_SHOWN = 40

FieldPath = tuple[str, ...]


def has_operators(value: Mapping[str, JSON]) -> bool:
    """Whether there is an operator in an object, at any depth."""
    return any(
        _looks_like_operator(name) or (isinstance(inner, Mapping) and has_operators(inner))
        for name, inner in value.items()
    )


def is_comparison(path: FieldPath, value: Mapping[str, JSON]) -> bool:
    """Whether an object is one of operators, and not one of fields.

    Raises:
        ServiceError: 422 `invalid_filter` for one of both, or an operator that does not exist.
    """
    strangers = [name for name in value if name not in OPERATORS]
    if not strangers:
        return True
    first = ascii(strangers[0][:_MOST_SHOWN])
    if len(strangers) < len(value):
        raise invalid(f"{shown(path)} has operators and {first}, which is not one. {_CHOICE}")
    if _looks_like_operator(strangers[0]):
        raise invalid(f"{shown(path)} has {first}, which is not an operator. {_CHOICE}")
    return False


def shown(path: FieldPath) -> str:
    """A field's name for a message."""
    return f"The field {'.'.join(path)[:_MOST_SHOWN]!a} of the filter"


def invalid(message: str, limit: int | None = None) -> ServiceError:
    """The refusal of a filter."""
    return ServiceError(422, "invalid_filter", message, limit=limit)


def _looks_like_operator(name: str) -> bool:
    return name in OPERATORS or name in _FOREIGN or name.startswith("$")


_CHOICE = f"There are {', '.join(OPERATORS)}."
