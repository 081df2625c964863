"""Behind a proxy that shows the service under a path: with the path taken off or not, and by any scheme."""

import asyncio
import re
from pathlib import Path
from urllib.parse import urljoin

import pytest

from service.app import ROUTERS
from service.page import FILES, FOLDER
from tests.pictures import photo
from tests.service.client import check_refusal, client

ROOT = "/ml/infomax"
FORWARDED = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "example.org", "X-Forwarded-For": "10.0.0.7"}
JPEG = {"Content-Type": "image/jpeg"}


@pytest.mark.parametrize("taken_off", [True, False])
def test_every_path_is_answered_below_the_root(taken_off: bool, tiny_models: Path, index_url: str) -> None:
    start = "" if taken_off else ROOT

    async def scenario() -> None:
        async with client(tiny_models, index_url, root_path=ROOT) as http:
            for path in ("/", "/livez", "/readyz", "/metrics", "/docs", "/v1/models/tiny", "/v2/models/tiny"):
                assert (await http.get(start + path, headers=FORWARDED)).status_code == 200, path
            answer = await http.post(start + "/v1/embeddings", content=photo(), headers=JPEG | FORWARDED)
            assert answer.status_code == 200
            assert answer.headers["x-model"] == "tiny/1"
            # An item may have the name of the root.
            item = f"{start}/v1/items{ROOT}/x"
            assert (await http.put(item, content=photo(), headers=JPEG)).json()["id"] == f"{ROOT[1:]}/x"
            assert (await http.delete(item)).status_code == 204
            refused = await http.get(f"{start}/v2/nothing")
            assert list(refused.json()) == ["error", "code", "request_id"]
            check_refusal(await http.get(f"{start}/nothing"), 404, "no_such_route", "GET /nothing.")

    asyncio.run(scenario())


def test_the_root_itself_leads_to_the_page(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url, root_path=ROOT) as http:
            led = await http.get(ROOT, headers=FORWARDED)
            # A path, of whatever scheme and host the client sees.
            assert (led.status_code, led.headers["location"]) == (307, f"{ROOT}/")
            assert "x-request-id" in led.headers
            for path in ("/ml", f"{ROOT}x", f"{ROOT}{ROOT}/livez", f"/x{ROOT}/livez"):
                assert (await http.get(path)).status_code == 404, path

    asyncio.run(scenario())


def test_what_needs_no_key_is_the_same_below_the_root(
    tiny_models: Path, index_url: str, tmp_path: Path
) -> None:
    (tmp_path / "keys.toml").write_text("[keys]\n")
    changes = {"root_path": ROOT, "api_keys_file": tmp_path / "keys.toml", "data_dir": tmp_path}

    async def scenario() -> None:
        async with client(tiny_models, index_url, None, **changes) as http:
            for start in ("", ROOT):
                for path, status in (("/livez", 200), ("/", 200), ("/v1/models", 401), ("/metrics", 401)):
                    assert (await http.get(start + path)).status_code == status, start + path

    asyncio.run(scenario())


@pytest.mark.parametrize("root", ["", ROOT])
def test_clients_learn_of_the_root_from_the_openapi_document(
    root: str, tiny_models: Path, index_url: str
) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url, root_path=root) as http:
            document = (await http.get("/openapi.json")).json()
        assert document.get("servers") == ([{"url": ROOT}] if root else None)
        assert "/v1/embeddings" in document["paths"]

    asyncio.run(scenario())


def test_every_link_of_a_page_stays_below_the_root(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            for page in ("/", "/docs"):
                html = (await http.get(page)).text
                links = re.findall(r"""(?:src|href)="([^"]+)"|url: '([^']+)'""", html)
                assert links
                for link in (one or other for one, other in links):
                    # The empty icon, and what leads a reader elsewhere: the unit's own page.
                    if link == "data:," or (f'<a href="{link}"' in html and link.startswith("https://")):
                        continue
                    below = urljoin(f"https://example.org{ROOT}{page}", link)
                    assert below.startswith(f"https://example.org{ROOT}/"), link
                    path = below.removeprefix(f"https://example.org{ROOT}")
                    assert (await http.get(path)).status_code == 200, path

    asyncio.run(scenario())


def test_no_script_of_the_page_asks_for_a_path_from_the_top() -> None:
    tops = {
        route.path.split("/")[1] for router in ROUTERS for route in router.routes if hasattr(route, "path")
    }
    pattern = re.compile(rf"""["'`]/({"|".join(filter(None, tops))})\b""")
    for name in (name for name in FILES if not name.endswith(".jpg")):
        assert not pattern.search((FOLDER / name).read_text()), name
