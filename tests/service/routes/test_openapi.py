"""What generators of clients and the page /docs read about the routes."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from service.index.search_plan import Recall
from service.routes.batch import BatchParameters
from service.routes.neighbours import NeighbourParameters
from service.routes.search_parameters import MAX_K
from tests.service.client import client


@pytest.fixture
def document(tiny_models: Path, index_url: str) -> dict[str, Any]:
    async def scenario() -> dict[str, Any]:
        async with client(tiny_models, index_url) as http:
            response = await http.get("/openapi.json")
            assert response.status_code == 200
            answer: dict[str, Any] = response.json()
            return answer

    return asyncio.run(scenario())


def test_every_way_to_send_and_to_receive_is_described(document: dict[str, Any]) -> None:
    for path, method, answers in (
        ("/v1/embeddings", "post", 3),
        ("/v1/mi-maps", "post", 3),
        ("/v1/neighbours", "post", 3),
        ("/v1/items/{id}", "put", 1),
    ):
        route = document["paths"][path][method]
        sent = route["requestBody"]["content"]
        assert set(sent) == {
            "image/*",
            "application/octet-stream",
            "multipart/form-data",
            "application/json",
        }
        received = route["responses"]
        assert len(received["200"]["content"]) == answers
        assert set(received["4XX"]["content"]) == {"application/problem+json"}


def test_parameters_of_the_query_are_members_of_the_body_too(document: dict[str, Any]) -> None:
    for path, method in (
        ("/v1/embeddings", "post"),
        ("/v1/mi-maps", "post"),
        ("/v1/neighbours", "post"),
        ("/v1/items/{id}", "put"),
    ):
        route = document["paths"][path][method]
        content = route["requestBody"]["content"]
        names = {one["name"] for one in route["parameters"] if one["in"] == "query"}
        for kind in ("application/json", "multipart/form-data"):
            assert names <= set(content[kind]["schema"]["properties"]), (path, kind)
        # FastAPI found nothing of its own to refuse in a form of its own.
        assert "422" not in route["responses"]


def test_every_parameter_has_words_and_a_schema(document: dict[str, Any]) -> None:
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            described = [one for one in route.get("parameters", ()) if one["in"] != "path"]
            for one in described:
                schema = one.get("schema") or one["content"]["application/json"]["schema"]
                assert one.get("description") or schema["description"], (path, method, one["name"])
                assert "type" in schema, (path, method, one["name"])
            assert len({one["name"] for one in described}) == len(described)


def test_limits_and_defaults_are_those_that_hold(document: dict[str, Any]) -> None:
    asked = document["paths"]["/v1/neighbours"]["post"]["parameters"]
    schemas = {one["name"]: one.get("schema") for one in asked}
    k = NeighbourParameters.model_fields["k"]
    assert (schemas["k"]["minimum"], schemas["k"]["maximum"], schemas["k"]["default"]) == (
        1,
        MAX_K,
        k.default,
    )
    assert schemas["explain"]["default"] is False
    assert schemas["recall"]["enum"] == [recall.value for recall in Recall]
    (outputs,) = [
        one["schema"]
        for one in document["paths"]["/v1/batch"]["post"]["parameters"]
        if one["name"] == "outputs"
    ]
    for text, allowed in (("embedding", True), ("mi_map, embedding", True), ("colour", False), ("", False)):
        assert bool(re.search(outputs["pattern"], text)) == allowed
        try:
            BatchParameters(outputs=text)  # type: ignore[arg-type]
        except ValueError:
            assert not allowed
        else:
            assert allowed


def test_an_object_or_a_list_outside_of_json_is_described_as_its_text(document: dict[str, Any]) -> None:
    route = document["paths"]["/v1/items/{id}"]["put"]
    (query,) = [one for one in route["parameters"] if one["name"] == "metadata"]
    assert query["content"]["application/json"]["schema"]["type"] == "object"
    content = route["requestBody"]["content"]
    field = content["multipart/form-data"]["schema"]["properties"]["metadata"]
    assert (field["type"], field["contentMediaType"]) == ("string", "application/json")
    assert content["application/json"]["schema"]["properties"]["metadata"]["type"] == "object"


def test_every_parameter_in_a_path_is_described_once(document: dict[str, Any]) -> None:
    for path, methods in document["paths"].items():
        for route in methods.values():
            described = [one["name"] for one in route.get("parameters", ()) if one["in"] == "path"]
            assert [f"{{{name}}}" in path for name in described] == [True] * path.count("{"), path
