"""What surrounds every request: ids, refusals, headers, metrics, log lines, and unforeseen failures."""

import asyncio
import base64
import hashlib
import logging
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import APIRouter, Request
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families
from starlette.responses import StreamingResponse

from service import app as application
from service.app import create_app
from service.runtime import Runtime
from tests.pictures import photo
from tests.service.client import client
from tests.service.faults import settings

broken = APIRouter()


@broken.get("/v1/broken")
async def fail(_request: Request) -> None:
    raise RuntimeError("password=hush")


@broken.get("/v1/half")
async def fail_half_way(_request: Request) -> StreamingResponse:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"first"
        raise RuntimeError("password=hush")

    return StreamingResponse(pieces())


@pytest.fixture
def with_broken_routes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "ROUTERS", (*application.ROUTERS, broken))


def counted(**labels: str) -> float:
    return REGISTRY.get_sample_value("infomax_requests_total", labels) or 0


@pytest.mark.parametrize("chosen", ["a", "trace-1/2 {x}", "x" * 128])
def test_a_request_keeps_the_id_that_its_client_chose(chosen: str, tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            answer = await http.get("/nothing", headers={"X-Request-Id": chosen})
        assert answer.headers["x-request-id"] == chosen
        assert answer.json()["request_id"] == chosen

    asyncio.run(scenario())


@pytest.mark.parametrize("chosen", [None, b"", b"x" * 129, "é".encode(), b"a\tb"])
def test_an_id_that_is_not_fit_for_logs_is_replaced(
    chosen: bytes | None, tiny_models: Path, index_url: str
) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            headers = {} if chosen is None else {b"X-Request-Id": chosen}
            answers = [await http.get("/nothing", headers=headers) for _ in range(2)]
        ids = [answer.headers["x-request-id"] for answer in answers]
        assert all(re.fullmatch("[0-9a-f]{32}", given) for given in ids)
        assert ids[0] != ids[1]
        assert [answer.json()["request_id"] for answer in answers] == ids

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "no_such_route"),
        ("GET", "/v1/embeddings", 405, "method_not_allowed"),
        ("DELETE", "/v1/models", 405, "method_not_allowed"),
    ],
)
def test_a_route_that_is_not_there_is_refused_as_a_problem(
    method: str, path: str, status: int, code: str, tiny_models: Path, index_url: str
) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            answer = await http.request(method, path)
        assert answer.headers["content-type"] == "application/problem+json"
        body = answer.json()
        assert (answer.status_code, body["status"], body["code"]) == (status, status, code)
        assert body["error"]["code"] == code
        assert f"{method} {path}" in body["detail"]
        assert ("allow" in answer.headers) == (status == 405)

    asyncio.run(scenario())


def test_every_answer_has_its_headers_and_those_of_the_interface_say_what_runs(
    tiny_models: Path, index_url: str
) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            embedded = await http.post(
                "/v1/embeddings", content=photo(), headers={"Content-Type": "image/jpeg"}
            )
            refused = await http.post("/v1/embeddings", content=b"", headers={"Content-Type": "image/jpeg"})
            alive = await http.get("/livez")
        assert (embedded.status_code, refused.status_code, alive.status_code) == (200, 400, 200)
        for answer in (embedded, refused, alive):
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["x-frame-options"] == "DENY"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
            assert answer.headers["cache-control"] == "no-store"
        for answer in (embedded, refused):
            assert (
                answer.headers["x-execution-provider"] == "CPUExecutionProvider; nodes=34/34; precision=fp32"
            )

    asyncio.run(scenario())


def test_requests_are_counted_by_the_template_of_their_route(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        item = {"route": "/v1/items/{id}", "method": "GET", "status": "404"}
        other = {"route": "other", "method": "other", "status": "404"}
        async with client(tiny_models, index_url) as http:
            before = counted(**item), counted(**other)
            for item_id in ("one", "two"):
                assert (await http.get(f"/v1/items/{item_id}")).status_code == 404
            for path in ("/wp-login.php", "/.env"):
                assert (await http.request("PROPFIND", path)).status_code == 404
        assert counted(**item) == before[0] + 2
        assert counted(**other) == before[1] + 2

    asyncio.run(scenario())


def test_a_request_is_one_log_line_without_its_query_and_health_is_none(
    tiny_models: Path, index_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            await http.get("/livez")
            await http.get("/readyz")
            await http.get("/v1/models/tiny?token=hush")

    with caplog.at_level(logging.INFO, "service.http.middleware"):
        asyncio.run(scenario())
    (record,) = (record for record in caplog.records if record.name == "service.http.middleware")
    assert record.getMessage() == "GET /v1/models/tiny 200"
    fields = vars(record)
    assert (fields["route"], fields["status"]) == ("/v1/models/{name}", 200)
    assert "hush" not in str(fields)


@pytest.mark.usefixtures("with_broken_routes")
def test_an_unexpected_error_is_a_problem_outside_and_a_traceback_in_the_log(
    tiny_models: Path, index_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            answer = await http.get("/v1/broken", headers={"X-Request-Id": "r"})
            assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["request_id"] == "r"
            assert "hush" not in answer.text
            # And the next request is answered.
            assert (await http.get("/livez")).status_code == 200

    asyncio.run(scenario())
    (failure,) = (record for record in caplog.records if record.levelno == logging.ERROR)
    assert failure.getMessage() == "GET /v1/broken failed"
    assert failure.exc_info is not None
    assert str(failure.exc_info[1]) == "password=hush"


@pytest.mark.usefixtures("with_broken_routes")
def test_an_answer_that_breaks_off_is_counted_as_a_failure(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        labels = {"route": "/v1/half", "method": "GET"}
        before = counted(**labels, status="500")
        async with client(tiny_models, index_url) as http:
            # The status was sent already; a real server breaks the connection off.
            assert (await http.get("/v1/half")).text == "first"
        assert counted(**labels, status="500") == before + 1

    asyncio.run(scenario())


def test_readiness_comes_with_the_start_and_goes_with_the_drain(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        runtime = Runtime.load(settings(tiny_models), index_url)
        app = create_app(runtime)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://infomax") as http:
            cold = await http.get("/readyz")
            assert (cold.status_code, cold.json()["code"]) == (503, "not_ready")
            assert "not warm" in cold.json()["detail"]
            assert int(cold.headers["retry-after"]) >= 1
            assert (await http.get("/livez")).json() == {"status": "alive"}
            async with app.router.lifespan_context(app):
                ready = await http.get("/readyz")
                assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
                assert (await http.head("/readyz")).status_code == 200
                await runtime.drain()
                stopping = await http.get("/readyz")
                assert (stopping.status_code, stopping.json()["code"]) == (503, "not_ready")
                assert "stopping" in stopping.json()["detail"]
                refused = await http.get("/v1/models")
                assert (refused.status_code, refused.json()["code"]) == (503, "shutting_down")
                assert refused.headers["connection"] == "close"
                assert (await http.get("/livez")).status_code == 200
                assert (await http.get("/metrics")).status_code == 200

    asyncio.run(scenario())


def test_readiness_needs_the_index(tiny_models: Path) -> None:
    async def scenario() -> None:
        async with client(tiny_models, "postgresql://infomax@127.0.0.1:1/infomax") as http:
            answer = await http.get("/readyz")
            assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
            assert answer.json()["detail"] == "The index does not answer."
            # What needs no index is answered all the same.
            embedded = await http.post(
                "/v1/embeddings", content=photo(), headers={"Content-Type": "image/jpeg"}
            )
            assert embedded.status_code == 200

    asyncio.run(scenario())


def test_metrics_are_what_prometheus_reads(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            answer = await http.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=")
        families = {family.name for family in text_string_to_metric_families(answer.text)}
        assert {"infomax_requests", "infomax_ready", "process_resident_memory_bytes"} <= families

    asyncio.run(scenario())


def test_version_says_what_it_stands_on(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            versions = (await http.get("/version")).json()
        assert list(versions) == ["infomax", "python", "onnxruntime", "model"]
        assert versions["model"] == "tiny/1"

    asyncio.run(scenario())


def test_the_page_of_the_interface_runs_under_its_policy(tiny_models: Path, index_url: str) -> None:
    """What a browser does with the policy: it loads what the page loads and runs what the page runs."""

    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            answer = await http.get("/docs")
            files = {
                path: await http.get(path) for path in ("/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css")
            }
            for path in ("/redoc", "/docs/favicon-32x32.png", "/docs/..%2Fmain.py"):
                assert (await http.get(path)).status_code == 404
        assert answer.headers["content-type"].startswith("text/html")
        allowed = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
        (script,) = re.findall(r"<script>(.*?)</script>", answer.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in allowed["script-src"]
        assert "unsafe" not in allowed["script-src"]
        for attribute, directive in (("script src", "script-src"), ('stylesheet" href', "style-src")):
            (source,) = re.findall(rf'{attribute}="([^"]+)"', answer.text)
            # From this service, so that it works without a network.
            assert source.startswith("docs/")
            assert "'self'" in allowed[directive].split()
            assert files[f"/{source}"].status_code == 200
        assert "SwaggerUIBundle" in files["/docs/swagger-ui-bundle.js"].text
        assert (allowed["default-src"], allowed["frame-ancestors"]) == ("'none'", "'none'")
        assert "'openapi.json'" in script
        assert allowed["connect-src"] == "'self'"

    asyncio.run(scenario())


def test_openapi_describes_every_route(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            schema = (await http.get("/openapi.json")).json()
        assert schema["info"]["title"] == "Infomax"
        operations = [operation for methods in schema["paths"].values() for operation in methods.values()]
        assert {"/v1/embeddings", "/v1/models", "/livez", "/readyz", "/metrics"} <= set(schema["paths"])
        assert len({operation["operationId"] for operation in operations}) == len(operations)
        assert all(operation["tags"] for operation in operations)

    asyncio.run(scenario())
