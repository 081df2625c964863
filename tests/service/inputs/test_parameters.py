"""Parameters: types count in JSON, texts are read in a query, and names are those of the place."""

from typing import Annotated

import pytest
from pydantic import BaseModel, BeforeValidator, Field

from service.errors import ServiceError
from service.inputs.parameters import Parameters, Text, parse, parsed_json


class Inner(BaseModel):
    model_config = Parameters.model_config

    size: int | None = None


class Outer(Parameters):
    k: int = Field(default=10, ge=1, le=100)
    explain: bool = False
    name: str | None = None
    inner: Inner = Inner()
    several: list[Inner] | None = None
    filter: Annotated[object, BeforeValidator(parsed_json)] = None


class Required(BaseModel):
    model_config = Parameters.model_config

    inputs: list[Inner]


def message(kind: type[BaseModel], **members: object) -> str:
    with pytest.raises(ServiceError) as caught:
        parse(kind, members)
    assert (caught.value.status, caught.value.code) == (422, "invalid_parameter")
    return str(caught.value)


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"k": True}, "k=true is not allowed: it must be an integer"),
        ({"k": "1"}, "k='1' is not allowed: it must be an integer"),
        ({"k": 1.5}, "k=1.5 is not allowed: it must be an integer"),
        ({"k": 10.0}, "it must be an integer"),
        ({"k": [1]}, "k=[1] is not allowed"),
        ({"k": 10**30}, "is not allowed"),
        ({"explain": 1}, "explain=1 is not allowed: it must be true or false"),
        ({"explain": "true"}, "it must be true or false"),
        ({"name": 7}, "name=7 is not allowed: it must be a string"),
        ({"inner": 3}, "inner=3 is not allowed: it must be an object"),
        ({"several": {}}, "several={} is not allowed: it must be a list"),
        ({"inner": {"size": True}}, "inner.size=true is not allowed"),
        ({"k": Text("ten")}, "k='ten' is not allowed: it must be an integer"),
        ({"explain": Text("perhaps")}, "it must be true or false"),
        ({"filter": Text("{")}, "it must be JSON"),
    ],
)
def test_a_value_of_another_type_is_refused_in_words_of_json(members: dict[str, object], said: str) -> None:
    text = message(Outer, **members)
    assert said in text
    for word in ("Inner", "Outer", "dict", "instance", "True", "None"):
        assert word not in text


def test_texts_of_a_query_are_read_beside_the_members_of_json() -> None:
    parsed = parse(Outer, {"k": Text("7"), "explain": Text("true"), "name": "a", "filter": Text('{"a": 1}')})
    assert (parsed.k, parsed.explain, parsed.name, parsed.filter) == (7, True, "a", {"a": 1})


def test_a_string_of_json_is_not_parsed_once_more() -> None:
    assert parse(Outer, {"filter": '{"a": 1}'}).filter == '{"a": 1}'


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"kk": 1}, "There is no parameter 'kk' here. There are model, user, k, explain"),
        ({"inner": {"sise": 1}}, "There is no parameter 'sise' in inner. There are size."),
        ({"several": [{}, {"sise": 1}]}, "There is no parameter 'sise' in several.1. There are size."),
        ({"kk": Text("1")}, "There is no parameter 'kk' here"),
    ],
)
def test_an_unknown_name_is_told_the_names_of_its_place(members: dict[str, object], said: str) -> None:
    assert said in message(Outer, **members)


def test_a_missing_parameter_is_named() -> None:
    assert message(Required) == "The parameter inputs is missing."
