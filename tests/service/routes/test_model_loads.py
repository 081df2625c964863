"""POST /v1/models/{name}/load, with a parent that the test plays."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.app import create_app
from service.models.load_requests import LoadRequests
from service.models.messages import LoadRequest, LoadResult, StatusUpdate, VersionStatus
from service.quotas.api_keys import new_key, table_of
from service.runtime import Runtime
from tests.service.client import check_refusal
from tests.service.faults import settings

ROUTE = "/v1/models/tiny/load"
Parent = Callable[[LoadRequests, LoadRequest], None]


@asynccontextmanager
async def client(
    models: Path, index_url: str, parent: Parent | None, **changes: object
) -> AsyncIterator[httpx.AsyncClient]:
    runtime = Runtime.load(settings(models, **changes), index_url)

    def send(load_request: LoadRequest) -> bool:
        if parent is not None:
            asyncio.get_running_loop().call_soon(parent, runtime.load_requests, load_request)
        return parent is not None

    runtime.load_requests.connect(send)
    app = create_app(runtime)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://infomax") as http,
    ):
        yield http


def grant(load_requests: LoadRequests, load_request: LoadRequest) -> None:
    load_requests.handle(LoadResult(load_request.token))


def test_a_load_is_answered_with_the_model_that_is_served_then(tiny_models: Path, index_url: str) -> None:
    received: list[LoadRequest] = []

    def parent(load_requests: LoadRequests, load_request: LoadRequest) -> None:
        received.append(load_request)
        # The result of another request does not end this one.
        load_requests.handle(LoadResult("another", "no"))
        grant(load_requests, load_request)

    async def scenario() -> None:
        async with client(tiny_models, index_url, parent) as http:
            requests: list[dict[str, Any]] = [{}, {"json": {"version": 3}}, {"params": {"version": 4}}]
            for request in requests:
                answer = await http.post(ROUTE, **request)
                assert (answer.status_code, answer.json()["id"]) == (200, "tiny/1")
            assert (await http.post("/v1/models/tiny/1/load")).status_code == 200

    asyncio.run(scenario())
    assert [(load_request.entry, load_request.version) for load_request in received] == [
        ("tiny", None),
        ("tiny", 3),
        ("tiny", 4),
        ("tiny", None),
    ]


def test_a_refused_version_is_listed_with_its_reason(tiny_models: Path, index_url: str) -> None:
    def parent(load_requests: LoadRequests, load_request: LoadRequest) -> None:
        load_requests.handle(StatusUpdate((VersionStatus("tiny", "tiny/2", "failed", 5.0, "It is broken."),)))
        load_requests.handle(LoadResult(load_request.token, "tiny/2 was not loaded: It is broken."))

    async def scenario() -> None:
        async with client(tiny_models, index_url, parent) as http:
            check_refusal(await http.post(ROUTE), 409, "model_refused", "It is broken")
            _, failed = (await http.get("/v1/models")).json()["data"]
            assert failed == (await http.get("/v1/models/tiny/2")).json()
            assert (failed["id"], failed["state"], failed["reason"]) == ("tiny/2", "failed", "It is broken.")
            assert failed["created"] == 5

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("path", "request_", "status", "code"),
    [
        ("/v1/models/large/load", {}, 404, "unknown_model"),
        (ROUTE, {"content": b"{"}, 400, "invalid_json"),
        (ROUTE, {"json": {"version": 0}}, 422, "invalid_parameter"),
        (ROUTE, {"json": {"verison": 1}}, 422, "invalid_parameter"),
        (ROUTE, {"json": {"model": "large"}}, 422, "invalid_parameter"),
        (ROUTE, {"json": {"version": 1}, "params": {"version": 2}}, 422, "invalid_parameter"),
    ],
)
def test_a_wrong_request_is_refused_and_does_not_reach_the_parent(
    path: str, request_: dict[str, Any], status: int, code: str, tiny_models: Path, index_url: str
) -> None:
    def parent(load_requests: LoadRequests, load_request: LoadRequest) -> None:
        raise AssertionError(load_request)

    async def scenario() -> None:
        async with client(tiny_models, index_url, parent) as http:
            check_refusal(await http.post(path, **request_), status, code, "")

    asyncio.run(scenario())


def test_a_load_is_refused_where_the_parent_takes_no_request(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url, None) as http:
            check_refusal(await http.post(ROUTE), 503, "not_ready", "takes no load request")

    asyncio.run(scenario())


def test_a_load_that_waits_at_the_end_is_refused(tiny_models: Path, index_url: str) -> None:
    def parent(load_requests: LoadRequests, _load_request: LoadRequest) -> None:
        load_requests.close()

    async def scenario() -> None:
        async with client(tiny_models, index_url, parent) as http:
            check_refusal(await http.post(ROUTE), 503, "shutting_down", "stopping")

    asyncio.run(scenario())


def test_where_keys_are_needed_only_an_admin_s_key_loads(
    tiny_models: Path, index_url: str, tmp_path: Path
) -> None:
    user, admin = new_key(), new_key()
    keys = tmp_path / "keys.toml"
    keys.write_text(table_of("user", user, None, None) + table_of("admin", admin, None, None, admin=True))

    async def scenario() -> None:
        async with client(tiny_models, index_url, grant, api_keys_file=keys, data_dir=tmp_path) as http:
            check_refusal(await http.post(ROUTE), 401, "missing_api_key", "")
            refused = await http.post(ROUTE, headers={"X-API-Key": user})
            check_refusal(refused, 403, "admin_key_required", "The API key user may not")
            assert (await http.post(ROUTE, headers={"X-API-Key": admin})).status_code == 200

    asyncio.run(scenario())
