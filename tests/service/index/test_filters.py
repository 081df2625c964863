"""Filters: what PostgreSQL finds by one is what its words say, and no text of a client's becomes SQL."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import sql
from psycopg.types.json import Jsonb

from service.errors import ServiceError
from service.index.embedded import EmbeddedPostgres
from service.index.filters import MAX_CONDITIONS, compile_filter

NASTY = [
    "",
    "'",
    '"',
    "\\",
    "%",
    "%s",
    "%(x)s",
    "{}",
    "$1",
    "'; DROP TABLE documents; --",
    "a.b",
    "ä",
    "😀",
    "\x7f",
]
NAMES = ["label", "year", "size", "width", "tags", "a b", "and", *NASTY]
TEXTS = ["cat", "Cat", "category", "dog", "10", "9", *NASTY]
NUMBERS = [-1, 0, 1, 1.0, 1.5, 2**53, 2**63, 1e-9, 10, 9]

scalars = st.one_of(st.none(), st.booleans(), st.sampled_from(NUMBERS), st.sampled_from(TEXTS))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["width", "unit", "'"]), inner, max_size=2),
    ),
    max_leaves=4,
)
documents = st.dictionaries(st.sampled_from(NAMES), values, max_size=4)


def operators(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    comparable = st.one_of(st.sampled_from(NUMBERS), st.sampled_from(TEXTS))
    each: dict[str, st.SearchStrategy[Any]] = {
        "eq": values,
        "in": st.lists(values, min_size=1, max_size=3),
        **dict.fromkeys(("lt", "lte", "gt", "gte"), comparable),
        "prefix": st.sampled_from(TEXTS),
        "not": st.one_of(scalars, inner),
    }
    return st.lists(st.sampled_from(list(each)), min_size=1, max_size=2, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: each[name] for name in names})
    )


comparisons = st.recursive(operators(scalars), operators, max_leaves=3)
fields = st.dictionaries(
    st.sampled_from([name for name in NAMES if name != "and"]),
    st.one_of(values, comparisons, st.fixed_dictionaries({"width": comparisons})),
    max_size=2,
)
filters = st.recursive(
    fields,
    lambda inner: st.one_of(
        st.builds(lambda one, more: {**one, "and": more}, inner, st.lists(inner, min_size=1, max_size=2)),
        st.fixed_dictionaries({"or": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"not": inner}),
    ),
    max_leaves=4,
)

# What the words mean, written down once more without SQL.
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
}
_OPERATORS = {"eq", "in", "prefix", "not", *_COMPARE}
_MISSING = object()


def kind(value: object) -> str:
    if isinstance(value, bool):
        return "bool"
    return "number" if isinstance(value, int | float) else type(value).__name__


def same(a: Any, b: Any) -> bool:
    if kind(a) != kind(b):
        return False
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


def contains(a: Any, b: Any) -> bool:
    """As `a @> b` of jsonb."""
    if isinstance(a, dict) and isinstance(b, dict):
        return all(name in a and contains(a[name], b[name]) for name in b)
    if isinstance(a, list) and isinstance(b, list):
        return all(any(contains(one, other) for one in a) for other in b)
    return same(a, b)


def has_operators(value: object) -> bool:
    return isinstance(value, dict) and any(
        name in _OPERATORS or has_operators(inner) for name, inner in value.items()
    )


def compares(value: Any, comparison: Mapping[str, Any]) -> bool:
    if not set(comparison) <= _OPERATORS:
        inside = value if isinstance(value, dict) else {}
        return all(
            compares(inside.get(name, _MISSING), inner)
            if has_operators(inner)
            else name in inside and contains(inside[name], inner)
            for name, inner in comparison.items()
        )
    return all(operate(value, operator, operand) for operator, operand in comparison.items())


def operate(value: Any, operator: str, operand: Any) -> bool:
    if operator == "not":
        inner = operand if has_operators(operand) else {"eq": operand}
        return not compares(value, inner)
    if value is _MISSING:
        return False
    if operator == "eq":
        return same(value, operand)
    if operator == "in":
        return any(same(value, one) for one in operand)
    if kind(value) != kind(operand):
        return False
    if operator == "prefix":
        return bool(value.startswith(operand))
    if isinstance(operand, str):
        return _COMPARE[operator](value.encode(), operand.encode())
    return _COMPARE[operator](value, operand)


def passes(document: Mapping[str, Any], filter_: Mapping[str, Any]) -> bool:
    for name, value in filter_.items():
        if name == "and":
            good = all(passes(document, one) for one in value)
        elif name == "or":
            good = any(passes(document, one) for one in value)
        elif name == "not":
            good = not passes(document, value)
        elif has_operators(value):
            good = compares(document.get(name, _MISSING), value)
        else:
            good = name in document and contains(document[name], value)
        if not good:
            return False
    return True


@pytest.fixture(scope="module")
def connection(postgres: EmbeddedPostgres) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres.url) as connection:
        connection.execute("CREATE TEMP TABLE documents (number integer, metadata jsonb)")
        yield connection
        connection.rollback()


def found(connection: psycopg.Connection, stored: list[Any], filter_: object) -> list[int]:
    """Which of the documents PostgreSQL finds."""
    condition = compile_filter(filter_)
    clause: sql.Composable = sql.SQL("true") if condition is None else condition.clause
    connection.execute("DELETE FROM documents")
    connection.cursor().executemany(
        "INSERT INTO documents VALUES (%s, %s)", [(n, Jsonb(one)) for n, one in enumerate(stored)]
    )
    query = sql.SQL("SELECT number FROM documents WHERE {} ORDER BY number").format(clause)
    rows = connection.execute(query, {} if condition is None else condition.values).fetchall()
    return [number for (number,) in rows]


@settings(max_examples=400)
@given(st.lists(documents, max_size=6), filters)
def test_postgresql_finds_what_the_words_say(
    connection: psycopg.Connection, stored: list[Any], filter_: dict[str, Any]
) -> None:
    assert found(connection, stored, filter_) == [
        number for number, document in enumerate(stored) if passes(document, filter_)
    ]


ITEMS: list[dict[str, Any]] = [
    {"label": "cat", "year": 2019, "size": {"width": 100}},
    {"label": "dog", "year": 2021, "tags": ["draft", "x"]},
    {"label": "Catfish", "year": "2021"},
    {"year": 2020.5, "size": {"width": 50, "unit": "px"}},
    {},
]


@pytest.mark.parametrize(
    ("filter_", "numbers"),
    [
        ({}, [0, 1, 2, 3, 4]),
        ({"label": "cat"}, [0]),
        ({"label": {"eq": "cat"}}, [0]),
        ({"label": {"in": ["cat", "dog"]}}, [0, 1]),
        ({"label": {"prefix": "Cat"}}, [2]),
        ({"label": {"gte": "c"}}, [0, 1]),
        ({"year": {"gt": 2019, "lte": 2021}}, [1, 3]),
        ({"year": {"gt": "2020"}}, [2]),
        ({"size": {"width": {"gte": 60}}}, [0]),
        ({"size": {"width": {"lt": 60}, "unit": "px"}}, [3]),
        ({"size": {"unit": "px"}}, [3]),
        ({"tags": ["draft"]}, [1]),
        ({"tags": {"eq": ["draft"]}}, []),
        ({"tags": {"eq": ["draft", "x"]}}, [1]),
        ({"not": {"label": "cat"}}, [1, 2, 3, 4]),
        ({"label": {"not": {"prefix": "c"}}}, [1, 2, 3, 4]),
        ({"label": {"not": "dog"}, "year": {"lt": 2020}}, [0]),
        ({"or": [{"label": "dog"}, {"year": {"lt": 2020}}]}, [0, 1]),
        ({"and": [{"year": {"gt": 0}}, {"not": {"size": {"width": {"gt": 60}}}}]}, [1, 3]),
    ],
)
def test_the_words_of_the_documentation(
    connection: psycopg.Connection, filter_: dict[str, Any], numbers: list[int]
) -> None:
    assert found(connection, ITEMS, filter_) == numbers


@pytest.mark.parametrize(
    ("filter_", "says"),
    [
        ([], "must be a JSON object"),
        ({"and": {"a": 1}}, '"and" must be a list of filters'),
        ({"or": []}, '"or" must be a list of filters'),
        ({"or": [1]}, '"or" must be a list of filters'),
        ({"not": 1}, '"not" must be a filter'),
        ({"year": {"between": [1, 2]}}, "'between', which is not an operator. There are eq, in, lt"),
        ({"year": {"$gt": 1}}, "'$gt', which is not an operator"),
        ({"year": {"lt": 1, "less": 2}}, "'less', which is not one"),
        ({"year": {"lt": True}}, "lt needs a number or a text"),
        ({"year": {"gte": None}}, "gte needs a number or a text"),
        ({"label": {"prefix": 1}}, "prefix needs a text"),
        ({"label": {"in": []}}, "in needs a list"),
        ({"label": {"in": "cat"}}, "in needs a list"),
        ({"size": {"width": {"lt": [1]}}}, "The field 'size.width' of the filter: lt needs"),
    ],
)
def test_what_is_no_filter_is_refused_by_name(filter_: object, says: str) -> None:
    with pytest.raises(ServiceError) as refusal:
        compile_filter(filter_)
    assert (refusal.value.status, refusal.value.code) == (422, "invalid_filter")
    assert says in str(refusal.value)


def test_conditions_are_bounded() -> None:
    assert compile_filter({"n": {"in": list(range(MAX_CONDITIONS))}}) is not None
    with pytest.raises(ServiceError) as refusal:
        compile_filter({"n": {"in": list(range(MAX_CONDITIONS + 1))}})
    assert refusal.value.limit == MAX_CONDITIONS


@pytest.mark.parametrize(
    ("filter_", "indexed"),
    [
        ({"label": "cat"}, True),
        ({"label": {"in": ["cat", "dog"]}}, True),
        ({"label": "cat", "year": {"gt": 1}}, True),
        ({"or": [{"label": "cat"}, {"year": {"eq": 1}}]}, True),
        ({"or": [{"label": "cat"}, {"year": {"gt": 1}}]}, False),
        ({"year": {"gt": 1}}, False),
        ({"not": {"label": "cat"}}, False),
        ({"label": {"prefix": "c"}}, False),
    ],
)
def test_the_index_of_metadata_is_known_to_help_or_not(filter_: dict[str, Any], indexed: bool) -> None:
    condition = compile_filter(filter_)
    assert condition is not None
    assert condition.indexed is indexed


@settings(max_examples=200)
@given(filters)
def test_no_name_and_no_value_stands_in_the_statement(filter_: dict[str, Any]) -> None:
    condition = compile_filter(filter_)
    if condition is not None:
        text = condition.clause.as_string()
        assert not [nasty for nasty in NASTY if len(nasty) > 3 and nasty in text]
        assert "cat" not in text
        json.dumps(filter_)
