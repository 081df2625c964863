"""Filters on metadata: a JSON object as a condition of SQL, with every name and value as a parameter.

A member without an operator has to be contained, as `@>` of jsonb defines it. Members are joined by and.

    {"label": "cat", "year": {"gte": 2020}, "not": {"tags": {"in": ["draft", "test"]}}}

An object that holds operators alone compares the field, any other one names fields within it. Types are never
converted: a number is neither below nor above a text. A field that is missing meets no comparison, and so
meets the `not` of each.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import orjson
from psycopg import sql
from psycopg.types.json import Jsonb

from service.index.filter_syntax import (
    COMPARISONS,
    CONNECTIVES,
    FieldPath,
    has_operators,
    invalid,
    is_comparison,
    shown,
)
from service.index.items import JSON, Metadata, check_object

MAX_CONDITIONS = 200


@dataclass(frozen=True)
class Condition:
    """A condition on a row of items.

    Attributes:
        clause: SQL, true for a row that passes.
        values: the parameters in it, by name.
        indexed: whether the index of metadata finds the rows, so that not all have to be read.
        digest: of the filter; equal ones have the same.
    """

    clause: sql.Composable
    values: Mapping[str, object] = field(default_factory=dict)
    indexed: bool = False
    digest: bytes = b""


def compile_filter(value: object) -> Condition | None:
    """The condition of a filter; None for one that every item passes.

    Raises:
        ServiceError: 422 `invalid_filter`.
    """
    return _Compiler().compile(check_object(value, name="filter"))


@dataclass(frozen=True)
class _Clause:
    clause: sql.Composable
    indexed: bool


class _Compiler:
    """Compiles one filter."""

    def __init__(self) -> None:
        self._values: dict[str, object] = {}
        self._conditions = 0

    def compile(self, filter_: Metadata) -> Condition | None:
        part = self._filter(filter_)
        if part is None:
            return None
        digest = hashlib.sha256(orjson.dumps(filter_, option=orjson.OPT_SORT_KEYS)).digest()
        return Condition(part.clause, self._values, part.indexed, digest)

    def _filter(self, filter_: Metadata) -> _Clause | None:
        """Members joined by and; those without operators are one containment."""
        parts = []
        contained: dict[str, JSON] = {}
        for name, value in filter_.items():
            if name in CONNECTIVES:
                parts.append(self._connective(name, value))
            elif isinstance(value, Mapping) and has_operators(value):
                parts.append(self._field((name,), value))
            else:
                contained[name] = value
        if contained:
            parts.append(self._contains(contained))
        return _all(parts)

    def _connective(self, name: str, value: JSON) -> _Clause:
        if name == "not":
            if not isinstance(value, Mapping):
                raise invalid('The value of "not" must be a filter, which is an object.')
            return _not(self._filter(value))
        if not isinstance(value, list) or not value or not all(isinstance(one, Mapping) for one in value):
            raise invalid(f'The value of "{name}" must be a list of filters with at least one in it.')
        parts = [self._filter(one) for one in value]
        if name == "and":
            return _all([part for part in parts if part is not None]) or _TRUE
        return _any([part or _TRUE for part in parts])

    def _field(self, path: FieldPath, value: Mapping[str, JSON]) -> _Clause:
        """A field's operators, or the fields within it."""
        if not is_comparison(path, value):
            parts = []
            for name, inner in value.items():
                if isinstance(inner, Mapping) and has_operators(inner):
                    parts.append(self._field((*path, name), inner))
                else:
                    parts.append(self._contains(_nested((*path, name), inner)))
            return _all(parts) or _TRUE
        return _all([self._compare(path, operator, operand) for operator, operand in value.items()]) or _TRUE

    def _compare(self, path: FieldPath, operator: str, operand: JSON) -> _Clause:
        if operator == "eq":
            return self._equals(path, operand)
        if operator == "in":
            if not isinstance(operand, list) or not operand:
                raise invalid(f"{shown(path)}: in needs a list with at least one value in it.")
            return _any([self._equals(path, one) for one in operand])
        if operator == "not":
            inner = operand if isinstance(operand, Mapping) else {"eq": operand}
            return _not(self._field(path, inner if has_operators(inner) else {"eq": inner}))
        if operator == "prefix":
            if not isinstance(operand, str):
                raise invalid(f"{shown(path)}: prefix needs a text.")
            return self._text(path, "starts_with({}, {})", operand)
        if isinstance(operand, str):
            return self._text(path, '{} COLLATE "C" ' + COMPARISONS[operator] + " {}", operand)
        if isinstance(operand, int | float) and not isinstance(operand, bool):
            return self._number(path, COMPARISONS[operator], operand)
        raise invalid(f"{shown(path)}: {operator} needs a number or a text.")

    def _contains(self, document: Mapping[str, JSON]) -> _Clause:
        return self._part("metadata @> {}", self._parameter(Jsonb(document)), indexed=True)

    def _equals(self, path: FieldPath, operand: JSON) -> _Clause:
        contains = self._contains(_nested(path, operand))
        if not isinstance(operand, Mapping | list):
            return contains
        # A list or an object is contained in larger ones too.
        same = self._part("{} = {}", self._at(path), self._parameter(Jsonb(operand)))
        self._conditions -= 1
        return _all([contains, same]) or _TRUE

    def _number(self, path: FieldPath, comparison: str, operand: int | float) -> _Clause:
        at = self._at(path)
        template = "(jsonb_typeof({}) = 'number' AND {} " + comparison + " {})"
        return self._part(template, at, at, self._parameter(Jsonb(operand)))

    def _text(self, path: FieldPath, template: str, operand: str) -> _Clause:
        template = "(jsonb_typeof({}) = 'string' AND " + template + ")"
        keys = self._parameter(list(path))
        at = sql.SQL("metadata #> {}::text[]").format(keys)
        text = sql.SQL("(metadata #>> {}::text[])").format(keys)
        return self._part(template, at, text, sql.SQL("{}::text").format(self._parameter(operand)))

    def _at(self, path: FieldPath) -> sql.Composable:
        return sql.SQL("(metadata #> {}::text[])").format(self._parameter(list(path)))

    def _part(self, template: str, *parts: sql.Composable, indexed: bool = False) -> _Clause:
        self._conditions += 1
        if self._conditions > MAX_CONDITIONS:
            raise invalid(
                f"The filter has more than {MAX_CONDITIONS} conditions. Filter by fewer values.",
                MAX_CONDITIONS,
            )
        # The templates of this file, never a text of a client's.
        return _Clause(sql.SQL(template).format(*parts), indexed)

    def _parameter(self, value: object) -> sql.Composable:
        name = f"filter_{len(self._values)}"
        self._values[name] = value
        return sql.Placeholder(name)


_TRUE = _Clause(sql.SQL("true"), indexed=False)


def _all(parts: Sequence[_Clause]) -> _Clause | None:
    if len(parts) < 2:
        return parts[0] if parts else None
    return _joined(parts, " AND ", any)


def _any(parts: Sequence[_Clause]) -> _Clause:
    return parts[0] if len(parts) == 1 else _joined(parts, " OR ", all)


def _joined(parts: Sequence[_Clause], word: str, indexed: Callable[[Sequence[bool]], bool]) -> _Clause:
    clause = sql.SQL("({})").format(sql.SQL(word).join([part.clause for part in parts]))
    return _Clause(clause, indexed([part.indexed for part in parts]))


def _not(part: _Clause | None) -> _Clause:
    """The opposite, where a missing field makes a comparison neither true nor false too."""
    return _Clause(sql.SQL("({}) IS NOT TRUE").format((part or _TRUE).clause), indexed=False)


def _nested(path: FieldPath, value: JSON) -> dict[str, JSON]:
    document: JSON = value
    for name in reversed(path):
        document = {name: document}
    assert isinstance(document, dict)  # noqa: S101 (a path has a name)
    return document
