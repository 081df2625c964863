"""Requests that are refused before their bodies are read."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from service.inference.resources import Resources
from service.inference.results import Priority
from tests.pictures import photo
from tests.service.client import check_refusal, client

IMAGE = {"content-type": "image/jpeg"}
WHOLE = {"content-type": "multipart/form-data; boundary=x"}
ROUTES = [
    ("POST", "/v1/embeddings", WHOLE),
    ("POST", "/v1/mi-maps", WHOLE),
    ("POST", "/v2/models/tiny/infer", {}),
    ("POST", "/v1/neighbours", IMAGE),
    ("POST", "/v1/neighbours", {}),
    ("PUT", "/v1/items/a", IMAGE),
    ("PUT", "/v1/items/a", {"content-type": "application/octet-stream"}),
]


def test_every_route_that_takes_images_is_among_them(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            paths = (await http.get("/openapi.json")).json()["paths"]
        takers = {
            (method.upper(), path)
            for path, methods in paths.items()
            for method, route in methods.items()
            if "image/*" in route.get("requestBody", {}).get("content", {}) or path.endswith("/infer")
        }
        # The path of a model and that of its version are one function.
        takers.discard(("POST", "/v2/models/{name}/versions/{version}/infer"))
        asked = {(method, re.sub("/items/.*", "/items/{id}", path)) for method, path, _ in ROUTES}
        assert takers == {(method, path.replace("/tiny/", "/{name}/")) for method, path in asked}

    asyncio.run(scenario())


@pytest.mark.parametrize(("method", "path", "headers"), ROUTES)
def test_a_full_service_reads_no_body_of_images(
    method: str, path: str, headers: dict[str, str], tiny_models: Path, index_url: str
) -> None:
    read: list[int] = []

    async def body() -> AsyncIterator[bytes]:
        read.append(1)
        yield photo()

    async def scenario() -> None:
        async with client(tiny_models, index_url, queue_seconds=0.001) as http:
            runtime = http._transport.app.state.runtime  # type: ignore[attr-defined]
            admission = runtime.models.default.pipeline._admission
            async with admission.admit(Resources(2000, 0), Priority.INTERACTIVE):
                refused = [
                    await http.request(method, path, content=body(), headers=headers) for _ in range(3)
                ]
        for number, answer in enumerate(refused):
            problem = answer.json()
            assert (answer.status_code, problem["code"]) == (503, "overloaded")
            assert problem["request_id"] == answer.headers["x-request-id"]
            assert int(answer.headers["retry-after"]) >= problem["retry_after"] > 0
            assert problem["setting"] == "INFOMAX_QUEUE_SECONDS"
            assert number == 0 or problem["request_id"] != refused[number - 1].json()["request_id"]
        assert read == []

    asyncio.run(scenario())


def test_what_needs_no_model_is_answered_by_a_full_service(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url, queue_seconds=0.001) as http:
            runtime = http._transport.app.state.runtime  # type: ignore[attr-defined]
            served = runtime.models.default
            vector = [1.0] + [0.0] * (served.index.dimensions - 1)
            async with served.pipeline._admission.admit(Resources(2000, 0), Priority.INTERACTIVE):
                stored = await http.put("/v1/items/a", json={"vector": vector})
                assert stored.status_code == 200
                found = await http.post("/v1/neighbours", json={"vector": vector})
                assert found.json()["neighbours"][0]["id"] == "a"
                image = await http.post("/v1/neighbours", files={"image": photo()})
                check_refusal(image, 503, "overloaded", "Send it again in")

    asyncio.run(scenario())


def test_an_id_of_the_client_is_repeated_as_it_is(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            answer = await http.get("/nothing", headers={"x-request-id": 'a"b\\c'})
            assert orjson.loads(answer.content)["request_id"] == 'a"b\\c'

    asyncio.run(scenario())
