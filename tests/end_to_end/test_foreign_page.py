"""Pages of other origins in a real browser, and the service's own behind a path."""

from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.end_to_end.browser import CHROMIUM, NO_CHROMIUM
from tests.end_to_end.server import serving

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)

LINE = '{"id": "theirs", "vector": [1]}'
# A form cannot choose its type freely, and is sent without a question beforehand.
FORM = f"""<form method="post" enctype="text/plain" action="URL/v1/items"><input name='{LINE}'></form>"""
SEND = """async ([url, mode]) => {
  const path = "/v1/models/tiny/load";
  const answer = await fetch(url + path, { method: "POST", mode });
  return [answer.status, answer.headers.get("x-request-id")];
}"""


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name there)
        """Nothing of interest."""


@pytest.fixture
def page(tmp_path: Path, browser: Browser) -> Iterator[Page]:
    """A page of another origin."""
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "index.html").write_text(FORM)
    handler = partial(_Silent, directory=tmp_path / "www")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as other:
        Thread(target=other.serve_forever, daemon=True).start()
        page = browser.new_page()
        page.goto(f"http://localhost:{other.server_address[1]}/")
        yield page
        page.close()
        other.shutdown()


def refusals(url: str) -> float:
    text = httpx.get(f"{url}/metrics").text
    line = 'infomax_rejections_total{reason="origin_not_allowed"} '
    return sum(float(one.removeprefix(line)) for one in text.splitlines() if one.startswith(line))


def test_a_foreign_page_writes_nothing(tiny_models: Path, index_url: str, tmp_path: Path, page: Page) -> None:
    with serving(tiny_models, tmp_path / "server", workers=1, database_url=index_url) as server:
        # Of the same machine, and so of the same site; and of another.
        for number, url in enumerate((server.url, server.url.replace("127.0.0.1", "localhost"))):
            assert page.evaluate(SEND, [url, "no-cors"]) == [0, None]
            assert refusals(url) == 2 * number + 1
            with page.expect_navigation():
                page.evaluate(
                    "url => { const form = document.forms[0];"
                    "form.action = form.action.replace(/^.*URL/, url); form.submit(); }",
                    url,
                )
            assert "origin_not_allowed" in page.content()
            page.go_back()
        assert httpx.get(f"{server.url}/v1/items").json()["items"] == []


def test_a_page_of_a_named_origin_writes_and_reads(
    tiny_models: Path, index_url: str, tmp_path: Path, page: Page
) -> None:
    origin = page.evaluate("location.origin")
    with serving(
        tiny_models, tmp_path / "server", workers=1, database_url=index_url, cors_origins=origin
    ) as server:
        status, request_id = page.evaluate(SEND, [server.url, "cors"])
        assert status == 200
        assert request_id


def test_its_own_page_works_below_a_path(
    tiny_models: Path, index_url: str, tmp_path: Path, page: Page
) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    with serving(
        tiny_models, tmp_path / "server", workers=1, database_url=index_url, root_path="/ml/infomax"
    ) as server:
        page.goto(f"{server.url}/ml/infomax")
        assert page.url == f"{server.url}/ml/infomax/"
        expect(page.locator("#model")).to_have_value("tiny/1")
        page.get_by_role("link", name="API").click()
        expect(page.get_by_role("heading", name="Infomax")).to_be_visible()
    assert errors == []
