"""Routing, over every route: paths match whole, `Allow` is true, HEAD is GET without a body."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi.routing import APIRoute

from service.app import ROUTERS
from tests.pictures import photo
from tests.service.client import check_refusal, client

ROUTES = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
# Of one request, and of the moment.
VARYING = {"x-request-id", "server-timing"}


def places() -> Iterator[str]:
    """The path of every route, with a name in place of each parameter."""
    for route in ROUTES:
        yield route.path_format.format(**dict.fromkeys(route.param_convertors, "tiny"))


PATHS = sorted(set(places()))


@pytest.mark.parametrize("ending", ["%0A", "%0D%0A", "%00", "%20", "%0Ax"])
def test_no_path_matches_with_something_behind_it(ending: str, tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            for path in PATHS:
                for method in METHODS:
                    answer = await http.request(method, path + ending)
                    assert 400 <= answer.status_code < 500, (method, path)

    asyncio.run(scenario())


def test_an_item_whose_name_is_the_beginning_of_another_stays(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            picture = {"content": photo(), "headers": {"Content-Type": "image/jpeg"}}
            assert (await http.put("/v1/items/victim", **picture)).is_success  # type: ignore[arg-type]
            for ending in ("%0A", "%0Ax", "%0A%0A"):
                check_refusal(await http.delete(f"/v1/items/victim{ending}"), 422, "invalid_id", "control")
                check_refusal(await http.get(f"/v1/items/victim{ending}"), 422, "invalid_id", "control")
            assert (await http.get("/v1/items/victim")).is_success

    asyncio.run(scenario())


def test_allow_names_the_methods_that_are_answered_and_no_other(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            for path in PATHS:
                answers = {method: await http.request(method, path) for method in METHODS}
                answered = {method for method, answer in answers.items() if answer.status_code != 405}
                for method in set(METHODS) - answered:
                    allowed = answers[method].headers["allow"]
                    assert set(allowed.split(", ")) == answered, (method, path)
                    assert answers[method].headers["content-type"] in (
                        "application/problem+json",
                        "application/json",
                    )
                assert ("HEAD" in answered) == ("GET" in answered)
                assert not any("allow" in answers[method].headers for method in answered)

    asyncio.run(scenario())


def test_head_is_get_without_a_body(tiny_models: Path, index_url: str) -> None:
    def plain(answer: httpx.Response) -> dict[str, str]:
        return {name: value for name, value in answer.headers.items() if name not in VARYING}

    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            for path in PATHS:
                got = await http.get(path)
                if got.status_code == 405:
                    continue
                asked = await http.head(path)
                assert (asked.status_code, asked.content) == (got.status_code, b""), path
                if path != "/metrics" and got.is_success:
                    # Metrics have counted the request before; refusals name the method.
                    assert plain(asked) == plain(got), path

    asyncio.run(scenario())


def test_a_path_without_a_route_is_refused_by_any_method(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            for method in METHODS:
                answer = await http.request(method, "/v1/nothing")
                assert (answer.status_code, "allow" in answer.headers) == (404, False)
                if method != "HEAD":
                    check_refusal(answer, 404, "no_such_route", f"{method} /v1/nothing")

    asyncio.run(scenario())


def test_what_a_path_holds_is_shown_as_ascii_and_not_whole(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            detail = (await http.get("/%0A%E2%80%AE" + 5000 * "x")).json()["detail"]
            assert "/\\n\\u202e" in detail
            assert len(detail) < 300

    asyncio.run(scenario())
