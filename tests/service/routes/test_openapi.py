"""What generators of clients and the page /docs read about the routes."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

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
        ("/v1/neighbours", "post", 2),
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


def test_every_parameter_in_a_path_is_described_once(document: dict[str, Any]) -> None:
    for path, methods in document["paths"].items():
        for route in methods.values():
            described = [one["name"] for one in route.get("parameters", ()) if one["in"] == "path"]
            assert [f"{{{name}}}" in path for name in described] == [True] * path.count("{"), path
