"""The door: who comes in, what it costs them, and what is told to whom."""

import asyncio
import base64
import hashlib
import logging
from pathlib import Path

import httpx
import openai
import orjson
import pytest
from fastapi.routing import APIRoute
from prometheus_client import REGISTRY

from service.app import ROUTERS
from service.quotas.api_keys import new_key, table_of
from tests.pictures import photo
from tests.service.client import client, openai_client
from tests.service.streams import ndjson

JPEG = {"Content-Type": "image/jpeg"}
NDJSON = {"Content-Type": "application/x-ndjson"}
KEY = new_key()
HEALTH = {"/livez", "/readyz", "/v2/health/live", "/v2/health/ready"}


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, object]:
    """Settings of a service that knows one key, `one`, without limits."""
    return keyed(tmp_path)


def keyed(
    folder: Path, images_per_second: float | None = None, images_per_day: int | None = None
) -> dict[str, object]:
    path = folder / "keys.toml"
    path.write_text(table_of("one", KEY, images_per_second, images_per_day))
    return {"api_keys_file": path, "data_dir": folder}


def bearer(key: str = KEY) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def sent_with(key: str) -> float:
    return REGISTRY.get_sample_value("infomax_key_items_total", {"key": key}) or 0


def test_no_route_but_health_and_the_page_answers_without_a_key(
    keys: dict[str, object], tiny_models: Path, index_url: str
) -> None:
    """Every route of the interface, the documentation, and what does not exist; a browser gets the page."""
    routes = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    paths = {
        (method, route.path.replace("{id:path}", "x")) for route in routes for method in route.methods or ()
    }
    paths |= {("GET", path) for path in ("/docs", "/openapi.json", "/nothing", "/v1/livez", "/livez/x")}

    async def scenario() -> None:
        async with client(tiny_models, index_url, **keys) as http:
            for method, path in sorted(paths):
                answer = await http.request(method, path)
                if path in (*HEALTH, "/"):
                    assert answer.status_code == 200, path
                    continue
                assert answer.status_code == 401, path
                assert answer.headers["www-authenticate"] == 'Bearer realm="infomax"'
                assert answer.headers["x-request-id"]
                if method != "HEAD":
                    body = answer.json()
                    assert body["code"] == "missing_api_key"
                    if path.startswith("/v2"):
                        assert body["error"].startswith("The request carries no API key")
                    else:
                        assert body["error"]["code"] == "missing_api_key"
                    assert body["request_id"] == answer.headers["x-request-id"]

    asyncio.run(scenario())


def test_a_key_lets_in_however_it_is_sent(keys: dict[str, object], tiny_models: Path, index_url: str) -> None:
    ways = (
        {"Authorization": f"Bearer {KEY}"},
        {"authorization": f"bearer  {KEY} "},
        {"X-API-Key": KEY},
        # A proxy's own credentials stand where the key would.
        {"Authorization": "Basic dXNlcjpwYXNz", "X-API-Key": KEY},
    )

    async def scenario() -> None:
        async with client(tiny_models, index_url, **keys) as http:
            for headers in ways:
                answer = await http.post("/v1/embeddings", content=photo(), headers=headers | JPEG)
                assert answer.status_code == 200, headers

    asyncio.run(scenario())


def test_what_is_no_key_is_refused_and_named_nowhere(
    keys: dict[str, object], tiny_models: Path, index_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = (
        bearer("imx_wrong"),
        bearer(KEY[:-1]),
        bearer(f"{KEY} {KEY}"),
        {"X-API-Key": KEY.swapcase()},
        # Who has the file of digests has no key.
        bearer(hashlib.sha256(KEY.encode()).hexdigest()),
        # What stands where OpenAI's clients put it counts, right or wrong.
        {**bearer("imx_wrong"), "X-API-Key": KEY},
    )

    async def scenario() -> None:
        async with client(tiny_models, index_url, **keys) as http:
            for headers in wrong:
                answer = await http.post("/v1/embeddings", content=photo(), headers=headers | JPEG)
                assert (answer.status_code, answer.json()["code"]) == (401, "invalid_api_key"), headers
                challenge = answer.headers["www-authenticate"]
                assert challenge == 'Bearer realm="infomax", error="invalid_token"'
                assert KEY[4:20].lower() not in answer.text.lower()

    with caplog.at_level(logging.DEBUG):
        asyncio.run(scenario())
    assert all(KEY[4:20].lower() not in str(vars(record)).lower() for record in caplog.records)


def test_an_empty_key_is_none(keys: dict[str, object], tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url, **keys) as http:
            for headers in ({"X-API-Key": ""}, {"Authorization": "Bearer "}, {"Authorization": "Bearer"}):
                answer = await http.get("/v1/models", headers=headers)
                assert (answer.status_code, answer.json()["code"]) == (401, "missing_api_key")

    asyncio.run(scenario())


@pytest.mark.parametrize("open_routes", ["docs", "metrics"])
def test_documentation_and_metrics_are_open_where_the_settings_say_so(
    open_routes: str, keys: dict[str, object], tiny_models: Path, index_url: str
) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url, open_routes=open_routes, **keys) as http:
            for path, name in (
                ("/docs", "docs"),
                ("/docs/swagger-ui-bundle.js", "docs"),
                ("/docs/swagger-ui.css", "docs"),
                ("/openapi.json", "docs"),
                ("/metrics", "metrics"),
            ):
                refused = (await http.get(path)).status_code == 401
                assert refused == (name not in open_routes), path
            assert (await http.get("/v1/models")).status_code == 401

    asyncio.run(scenario())


def test_the_log_names_the_key_and_never_holds_it(
    keys: dict[str, object], tiny_models: Path, index_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url, **keys) as http:
            await http.get("/v1/models", headers=bearer())

    with caplog.at_level(logging.DEBUG):
        asyncio.run(scenario())
    (record,) = (record for record in caplog.records if record.name == "service.http.middleware")
    assert vars(record)["key"] == "one"
    assert all(KEY not in str(vars(record)) for record in caplog.records)


def test_over_its_rate_a_key_is_refused_and_told_for_how_long(
    tmp_path: Path, tiny_models: Path, index_url: str
) -> None:
    form = [("image", (f"{number}.jpg", photo(number), "image/jpeg")) for number in range(5)]

    async def scenario() -> None:
        async with client(tiny_models, index_url, **keyed(tmp_path, images_per_second=0.01)) as http:
            # Five images are one request: counted are images.
            first = await http.post("/v1/embeddings", files=form, headers=bearer())
            assert first.status_code == 200
            second = await http.post("/v1/embeddings", content=photo(), headers=bearer() | JPEG)
            assert (second.status_code, second.json()["code"]) == (429, "rate_exceeded")
            # Five images at one in a hundred seconds, less the moment since.
            assert 490 < second.json()["retry_after"] <= 500
            assert 490 < int(second.headers["retry-after"]) <= 500
            # What needs no images is answered.
            assert (await http.get("/v1/models", headers=bearer())).status_code == 200

    before = sent_with("one")
    asyncio.run(scenario())
    assert sent_with("one") == before + 5


def test_a_day_of_images_is_a_quota(tmp_path: Path, tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url, **keyed(tmp_path, images_per_day=4)) as http:
            path = "/v1/embeddings"
            # An image that turns out to be broken was work all the same.
            for content, status in ((photo(), 200), (b"broken", 415), (photo(), 200)):
                answer = await http.post(path, content=content, headers=bearer() | JPEG)
                assert answer.status_code == status
            two = [("image", ("a.jpg", photo(), "image/jpeg"))] * 2
            over = await http.post(path, files=two, headers=bearer())
            assert (over.status_code, over.json()["code"]) == (429, "quota_exceeded")
            assert over.json()["limit"] == 4
            assert "has sent 3 today" in over.json()["detail"]
            assert 0 < int(over.headers["retry-after"]) <= 86_400
            never = await http.post(path, files=two * 3, headers=bearer())
            assert (never.status_code, never.json()["code"]) == (413, "too_many_items")
            assert "retry-after" not in never.headers

    asyncio.run(scenario())


def test_what_the_service_has_no_room_for_costs_a_key_nothing(
    tmp_path: Path, tiny_models: Path, index_url: str
) -> None:
    form = [("image", (f"{number}.jpg", photo(number), "image/jpeg")) for number in range(3)]

    async def scenario() -> None:
        settings = keyed(tmp_path, images_per_day=3) | {"queue_items": 2}
        async with client(tiny_models, index_url, **settings) as http:
            full = await http.post("/v1/embeddings", files=form, headers=bearer())
            assert (full.status_code, full.json()["setting"]) == (413, "INFOMAX_QUEUE_ITEMS")
            for _ in range(3):
                answer = await http.post("/v1/embeddings", content=photo(), headers=bearer() | JPEG)
                assert answer.status_code == 200

    asyncio.run(scenario())


def test_a_stream_waits_for_its_rate_and_is_answered_whole(
    tmp_path: Path, tiny_models: Path, index_url: str
) -> None:
    files = [(str(number), photo(number)) for number in range(40)]

    async def scenario() -> None:
        # Chunks of 16 images: all but the first find the key in debt.
        async with client(tiny_models, index_url, **keyed(tmp_path, images_per_second=400)) as http:
            answer = await http.post("/v1/batch", content=ndjson(files), headers=bearer() | NDJSON)
        *items, last = map(orjson.loads, answer.content.splitlines())
        assert [item["status"] for item in items] == ["ok"] * 40
        assert last["summary"]["complete"]

    asyncio.run(scenario())


def test_a_stream_whose_day_is_used_up_ends_and_says_so(
    tmp_path: Path, tiny_models: Path, index_url: str
) -> None:
    files = [(str(number), photo(number)) for number in range(100)]

    async def scenario() -> None:
        async with client(tiny_models, index_url, **keyed(tmp_path, images_per_day=50)) as http:
            answer = await http.post("/v1/batch", content=ndjson(files), headers=bearer() | NDJSON)
        *items, error, last = map(orjson.loads, answer.content.splitlines())
        outcomes = [item["status"] for item in items]
        # Three chunks of 16; the fourth would be too many.
        assert outcomes.count("ok") == 48
        refused = {item["error"]["code"] for item in items if item["status"] == "error"}
        assert refused == {"quota_exceeded"}
        assert error["error"]["code"] == "quota_exceeded"
        assert last["summary"]["complete"] is False

    asyncio.run(scenario())


def test_a_stream_that_waits_for_its_rate_does_not_keep_the_service_from_stopping(
    tmp_path: Path, tiny_models: Path, index_url: str
) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url, **keyed(tmp_path, images_per_second=0.01)) as http:
            first = await http.post("/v1/embeddings", content=photo(), headers=bearer() | JPEG)
            assert first.status_code == 200
            body = ndjson([("late", photo())])
            streaming = asyncio.create_task(http.post("/v1/batch", content=body, headers=bearer() | NDJSON))
            runtime = http._transport.app.state.runtime  # type: ignore[attr-defined]
            for _ in range(100):
                # Far enough to have come to the account.
                await asyncio.sleep(0)
            assert runtime.in_flight._in_flight
            await runtime.models.default.pipeline.stop(0)
            answer = await streaming
        item = orjson.loads(answer.content.splitlines()[0])
        assert item["error"]["code"] == "shutting_down"

    asyncio.run(scenario())


def test_the_openai_client_is_let_in_and_understands_refusals(
    tmp_path: Path, tiny_models: Path, index_url: str
) -> None:
    image = base64.b64encode(photo()).decode()

    async def scenario() -> None:
        async with client(tiny_models, index_url, **keyed(tmp_path, images_per_day=1)) as http:
            http.base_url = httpx.URL("http://infomax/v1/")
            answer = await openai_client(http, KEY).embeddings.create(model="tiny", input=image)
            assert len(answer.data) == 1
            with pytest.raises(openai.AuthenticationError, match="not known here"):
                await openai_client(http, "sk-wrong").embeddings.create(model="tiny", input=image)
            with pytest.raises(openai.RateLimitError, match="may send 1 images a day"):
                await openai_client(http, KEY).embeddings.create(model="tiny", input=image)

    asyncio.run(scenario())


def test_the_description_says_that_a_key_is_needed(
    keys: dict[str, object], tiny_models: Path, index_url: str
) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url, **keys) as http:
            document = (await http.get("/openapi.json", headers=bearer())).json()
        (name,) = document["security"][0]
        assert document["components"]["securitySchemes"][name] == {"type": "http", "scheme": "bearer"}

    asyncio.run(scenario())


def test_without_a_file_of_keys_nothing_is_asked_for(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            answer = await http.get("/v1/models", headers=bearer("whatever"))
            assert answer.status_code == 200
            assert "security" not in (await http.get("/openapi.json")).json()

    asyncio.run(scenario())
