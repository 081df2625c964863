"""The shortcut answers as the router would have done."""

import asyncio
from pathlib import Path

import httpx
import pytest
from prometheus_client import REGISTRY

from service import app
from service.http.fast_routes import FastRoutes
from tests.pictures import encoded, landscape
from tests.service.client import client

ROUTE = "/v1/embeddings"
JPEG = {"content-type": "image/jpeg"}
PICTURE = encoded(landscape(40, 30), "JPEG")
REQUESTS: list[tuple[str, dict[str, object]]] = [
    ("POST", {"content": PICTURE, "headers": JPEG}),
    ("POST", {"content": PICTURE, "headers": JPEG, "params": {"dimensions": 5, "encoding_format": "base64"}}),
    ("POST", {"content": PICTURE, "headers": JPEG | {"accept": "application/x-npy"}}),
    ("POST", {"content": PICTURE, "headers": JPEG | {"accept": "text/html"}}),
    ("POST", {"content": PICTURE, "headers": JPEG | {"x-request-timeout-ms": "soon"}}),
    ("POST", {"content": PICTURE[:200], "headers": JPEG}),
    ("POST", {"content": b"{", "headers": {"content-type": "application/json"}}),
    ("GET", {}),
]
# What differs from one request to the next, whoever answers.
VARYING = {"x-request-id", "server-timing"}


class NoShortcut(FastRoutes):
    """Middleware that lets everything go the long way."""

    def __init__(self, app: object, routers: object) -> None:  # noqa: ARG002 (none of them)
        super().__init__(app, ())  # type: ignore[arg-type]


def answers(models: Path, index_url: str) -> list[tuple[int, dict[str, str], object]]:
    async def scenario() -> list[tuple[int, dict[str, str], object]]:
        async with client(models, index_url) as http:
            return [_plain(await http.request(method, ROUTE, **parts)) for method, parts in REQUESTS]  # type: ignore[arg-type]

    return asyncio.run(scenario())


def _plain(response: httpx.Response) -> tuple[int, dict[str, str], object]:
    headers = {name: value for name, value in response.headers.items() if name not in VARYING}
    if "json" not in response.headers["content-type"]:
        return response.status_code, headers, response.content
    return response.status_code, headers, {**response.json(), "request_id": "any"}


def test_status_headers_and_body_are_the_same_on_both_ways(
    tiny_models: Path, index_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = answers(tiny_models, index_url)
    monkeypatch.setattr(app, "FastRoutes", NoShortcut)
    assert short == answers(tiny_models, index_url)
    assert [status for status, _, _ in short] == [200, 200, 200, 406, 422, 422, 400, 405]


def test_requests_are_counted_under_their_route_on_both_ways(
    tiny_models: Path, index_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def count() -> float:
        labels = {"route": ROUTE, "method": "POST", "status": "406"}
        return REGISTRY.get_sample_value("infomax_requests_total", labels) or 0

    before = count()
    answers(tiny_models, index_url)
    assert count() == before + 1
    monkeypatch.setattr(app, "FastRoutes", NoShortcut)
    answers(tiny_models, index_url)
    assert count() == before + 2
