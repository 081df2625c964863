"""What web pages can make a browser send: no write from another origin, no name that is not the service's."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi.routing import APIRoute

from service.app import ROUTERS
from service.quotas.api_keys import new_key, table_of
from tests.pictures import photo
from tests.service.client import check_refusal, client
from tests.service.live import live

APP = "https://app.example.org"
JPEG = {"Content-Type": "image/jpeg"}
# What browsers send with a request of a page of another origin: new ones, and old ones.
FOREIGN = (
    {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:3000"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://infomax"},
    {"Sec-Fetch-Site": "same-origin, cross-site"},
    {"Origin": "https://evil.example"},
    {"Origin": "http://infomax.evil.example"},
    {"Origin": "http://infomax:8001"},
    {"Origin": "null"},
    {"Origin": ""},
)
OWN: tuple[dict[str, str], ...] = (
    {},
    {"Sec-Fetch-Site": "same-origin", "Origin": "http://infomax"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": "http://infomax"},
    {"Origin": "http://INFOMAX:80"},
    # Behind a proxy with TLS.
    {"Origin": "https://infomax"},
    {"Origin": "https://api.example.org", "X-Forwarded-Host": "api.example.org"},
)


def writes() -> Iterator[tuple[str, str]]:
    for router in ROUTERS:
        for route in router.routes:
            assert isinstance(route, APIRoute)
            for method in (route.methods or set()) - {"GET", "HEAD"}:
                yield method, route.path_format.format(**dict.fromkeys(route.param_convertors, "tiny"))


WRITES = sorted(writes())


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_no_write_of_a_page_of_another_origin_is_done(
    headers: dict[str, str], tiny_models: Path, index_url: str
) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            await http.put("/v1/items/mine", content=photo(), headers=JPEG)
            for method, path in WRITES:
                answer = await http.request(method, path, headers=headers)
                assert (answer.status_code, answer.json()["code"]) == (403, "origin_not_allowed"), path
            theirs = await http.put("/v1/items/mine2", content=photo(), headers=JPEG | headers)
            deleted = await http.delete("/v1/items", params={"prefix": "mine"}, headers=headers)
            assert (theirs.status_code, deleted.status_code) == (403, 403)
            items = (await http.get("/v1/items")).json()["items"]
            assert [item["id"] for item in items] == ["mine"]

    asyncio.run(scenario())


@pytest.mark.parametrize("headers", OWN, ids=str)
def test_programs_and_its_own_pages_may_write(
    headers: dict[str, str], tiny_models: Path, index_url: str
) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            answer = await http.post("/v1/embeddings", content=photo(), headers=JPEG | headers)
            assert answer.status_code == 200
            assert "access-control-allow-origin" not in answer.headers

    asyncio.run(scenario())


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_a_page_of_another_origin_reads_nothing(
    headers: dict[str, str], tiny_models: Path, index_url: str
) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url, cors_origins=APP) as http:
            answer = await http.get("/v1/models", headers=headers)
            asked = {"Access-Control-Request-Method": "PUT", **headers}
            preflight = await http.options("/v1/items/x", headers=asked)
        assert not any(name.startswith("access-control") for name in (*answer.headers, *preflight.headers))
        # What a cache keeps for one origin is not another's.
        assert "Origin" in answer.headers.get_list("vary")

    asyncio.run(scenario())


def keys(folder: Path) -> tuple[Path, str]:
    path, key = folder / "keys.toml", new_key()
    path.write_text(table_of("one", key, None, None))
    return path, key


def test_pages_of_named_origins_may_do_what_programs_may(
    tiny_models: Path, index_url: str, tmp_path: Path
) -> None:
    path, key = keys(tmp_path)
    theirs = {"Origin": APP, "Sec-Fetch-Site": "cross-site"}
    settings = {"cors_origins": f"http://localhost:3000,{APP}", "api_keys_file": path, "data_dir": tmp_path}

    async def scenario() -> None:
        async with client(tiny_models, index_url, None, **settings) as http:
            asked = {
                "Access-Control-Request-Method": "PUT",
                "Access-Control-Request-Headers": "authorization,content-type,x-stainless-lang",
                "Access-Control-Request-Private-Network": "true",
            }
            preflight = await http.options("/v1/items/x", headers=theirs | asked)
            assert (preflight.status_code, preflight.content) == (204, b"")
            granted = preflight.headers
            assert granted["access-control-allow-headers"] == asked["Access-Control-Request-Headers"]
            assert granted["access-control-allow-private-network"] == "true"
            methods = {method for method, _ in WRITES} | {"GET", "HEAD"}
            assert set(granted["access-control-allow-methods"].split(", ")) == methods

            allowed = await http.put(
                "/v1/items/x",
                content=photo(),
                headers=JPEG | theirs | {"Authorization": f"Bearer {key}"},
            )
            unknown = await http.put("/v1/items/x", content=photo(), headers=JPEG | theirs)
            assert (allowed.status_code, unknown.status_code) == (200, 401)
            for answer in (preflight, allowed, unknown):
                assert answer.headers["access-control-allow-origin"] == APP
                assert "X-Request-Id" in answer.headers["access-control-expose-headers"]
                assert "access-control-allow-credentials" not in answer.headers

    asyncio.run(scenario())


@pytest.mark.parametrize("asked", ["x" * 2000, "a\tb", "é"])
def test_a_preflight_writes_no_odd_names_into_its_answer(
    asked: str, tiny_models: Path, index_url: str
) -> None:
    async def scenario() -> None:
        headers = {
            b"Origin": APP.encode(),
            b"Access-Control-Request-Method": b"PUT",
            b"Access-Control-Request-Headers": asked.encode(),
        }
        async with client(tiny_models, index_url, cors_origins=APP) as http:
            answer = await http.options("/v1/items/x", headers=headers)
        assert answer.status_code == 204
        assert "access-control-allow-headers" not in answer.headers

    asyncio.run(scenario())


def ask(address: tuple[str, int], *fields: str, path: str = "/version") -> httpx.Response:
    """A GET with exactly these header fields, over a connection on loopback."""
    with socket.create_connection(address, timeout=60) as connection:
        head = [f"GET {path} HTTP/1.1", "Connection: close", *fields, "", ""]
        connection.sendall("\r\n".join(head).encode())
        head_, _, body = b"".join(iter(lambda: connection.recv(65536), b"")).partition(b"\r\n\r\n")
    status, *lines = head_.decode().split("\r\n")
    headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
    return httpx.Response(int(status.split()[1]), headers=headers, content=body)


REBOUND = (
    "evil.example",
    "evil.example:8000",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "1.2.3",
    "::1.evil",
)
LOCAL = (
    "localhost",
    "localhost:8000",
    "LOCALHOST.",
    "a.localhost:1",
    "127.0.0.1:8000",
    "[::1]:8000",
    "10.0.0.7",
    "infomax",
)


def test_on_loopback_without_keys_a_name_that_may_be_rebound_is_refused(
    tiny_models: Path, index_url: str
) -> None:
    with live(tiny_models, index_url) as served:
        for host in REBOUND:
            refused = ask(served.address, f"Host: {host}")
            check_refusal(refused, 421, "host_not_allowed", host)
            assert refused.json()["setting"] == "INFOMAX_ALLOWED_HOSTS"
            # Orchestrators ask by any name.
            assert ask(served.address, f"Host: {host}", path="/livez").status_code == 200
        check_refusal(
            ask(served.address, "Host: localhost", "Host: evil.example"), 421, "host_not_allowed", ""
        )
        for host in LOCAL:
            assert ask(served.address, f"Host: {host}").status_code == 200, host
        assert ask(served.address).status_code == 200


def test_named_hosts_are_answered_and_no_others(tiny_models: Path, index_url: str) -> None:
    with live(tiny_models, index_url, allowed_hosts="infomax.local,api.example.org") as served:
        for host in (*LOCAL, "infomax.local", "api.example.org:443", "API.example.org."):
            assert ask(served.address, f"Host: {host}").status_code == 200, host
        for host in ("evil.example", "infomax.evil.example", "x.api.example.org"):
            assert ask(served.address, f"Host: {host}").status_code == 421, host


def test_named_hosts_hold_on_every_interface(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url, allowed_hosts="api.example.org") as http:
            for host, status in (("evil.example", 421), ("api.example.org", 200)):
                assert (await http.get("/version", headers={"Host": host})).status_code == status
        async with client(tiny_models, index_url) as http:
            # Which has not come over loopback.
            assert (await http.get("/version", headers={"Host": "evil.example"})).status_code == 200

    asyncio.run(scenario())


def test_with_keys_a_name_alone_opens_nothing(tiny_models: Path, index_url: str, tmp_path: Path) -> None:
    path, key = keys(tmp_path)
    with live(tiny_models, index_url, api_keys_file=path, data_dir=tmp_path) as served:
        assert ask(served.address, "Host: evil.example").status_code == 401
        # As from a proxy on this machine.
        assert ask(served.address, "Host: api.example.org", f"X-API-Key: {key}").status_code == 200
