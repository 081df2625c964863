"""The index on the page in a real browser: lists, search by id and metadata, deletion with a question."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.end_to_end.browser import CHROMIUM, NO_CHROMIUM, faultless_page
from tests.end_to_end.server import Server, serving
from tests.pictures import photo
from tests.tiny_model import EMBEDDING

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)

CATS, ITEMS_OF_A_PAGE = 30, 24
LOADING = "#items img:not([src]):not(.missing)"


@pytest.fixture(scope="module")
def server(
    tiny_models: Path, module_index: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("page")
    with serving(tiny_models, folder, workers=1, database_url=module_index) as server:
        yield server


@pytest.fixture
def page(server: Server, browser: Browser) -> Iterator[Page]:
    """The page over an index of thirty cats, a dog with a slash and quotes in its id, and a vector."""
    with httpx.Client(base_url=server.url) as http:
        for prefix in ("cats/", "d", "v"):
            http.delete("/v1/items", params={"prefix": prefix})
        for number in range(CATS):
            metadata = {"metadata": f'{{"label": "cat", "year": {2000 + number}}}'}
            http.put(f"/v1/items/cats/{number:02}", content=photo(number), params=metadata).raise_for_status()
        dog = quote('dogs/"b" & ü?')
        http.put(f"/v1/items/{dog}", content=photo(99), params={"metadata": '{"year": "2003"}'})
        http.put("/v1/items/vector", json={"vector": [1.0] * EMBEDDING}).raise_for_status()
    with faultless_page(browser, server.url) as page:
        expect(page.locator("#index")).to_have_text(f"{CATS + 2} images are searched.")
        page.click("#browser summary")
        expect(page.locator("#items li")).to_have_count(ITEMS_OF_A_PAGE)
        yield page


def ids(page: Page) -> list[str]:
    found: list[str] = page.locator("#items b").all_text_contents()
    return found


def find(page: Page, prefix: str = "", metadata: str = "") -> None:
    page.fill("#find-id", prefix)
    page.fill("#find-metadata", metadata)
    page.click("#find button")


def test_pages_follow_each_other_with_pictures_however_items_came(page: Page) -> None:
    expect(page.locator("#found")).to_have_text("Items 1 to 24 of 32.")
    page.click("#later")
    expect(page.locator("#found")).to_have_text("Items 25 to 32 of 32.")
    assert ids(page) == [*(f"cats/{number}" for number in range(24, CATS)), 'dogs/"b" & ü?', "vector"]
    expect(page.locator("#later")).to_be_disabled()
    width = "image => image.decode().then(() => image.naturalWidth)"
    assert [one.evaluate(width) for one in page.locator("#items img:not(.missing)").all()] == [32] * 7
    expect(page.locator("#items .missing")).to_have_attribute("alt", "no picture is kept")
    page.click("#earlier")
    expect(page.locator("#found")).to_have_text("Items 1 to 24 of 32.")
    assert ids(page)[0] == "cats/00"


def test_items_are_found_by_id_and_by_metadata(page: Page) -> None:
    find(page, "cats/1")
    expect(page.locator("#found")).to_have_text("Items 1 to 10, the last.")
    # A number is found, and a text that is written alike.
    find(page, metadata="year=2003")
    expect(page.locator("#items b")).to_have_text(["cats/03", 'dogs/"b" & ü?'])
    find(page, metadata="year = 2003, label=cat")
    expect(page.locator("#items b")).to_have_text(["cats/03"])
    find(page, "cats/2", '{"year": {"gte": 2028}}')
    expect(page.locator("#items b")).to_have_text(["cats/28", "cats/29"])
    find(page, "cow")
    expect(page.locator("#found")).to_have_text("No item is found.")
    find(page, metadata="cat")
    expect(page.locator("#status")).to_contain_text("Write name=value")
    expect(page.locator("#message")).to_have_class("failed")


def test_an_item_is_deleted_only_after_a_yes(page: Page, server: Server) -> None:
    find(page, "d")
    expect(page.locator("#items b")).to_have_text(['dogs/"b" & ü?'])
    page.click("#items .button")
    expect(page.locator("#confirm-text")).to_have_text('Delete dogs/"b" & ü? from the index?')
    page.keyboard.press("Escape")
    expect(page.locator("#confirm")).to_be_hidden()
    expect(page.locator("#items b")).to_have_text(['dogs/"b" & ü?'])
    page.click("#items .button")
    # Pictures are asked for behind the list, and items that are gone have none.
    expect(page.locator(LOADING)).to_have_count(0)
    page.click("#confirm button[value=yes]")
    expect(page.locator("#status")).to_have_text('dogs/"b" & ü? deleted.')
    expect(page.locator("#index")).to_have_text(f"{CATS + 1} images are searched.")
    expect(page.locator("#found")).to_have_text("No item is found.")
    find(page, "cats/")
    page.click("#delete-all")
    page.click('#confirm button[value=""]')
    page.click("#delete-all")
    expect(page.locator(LOADING)).to_have_count(0)
    page.click("#confirm button[value=yes]")
    expect(page.locator("#status")).to_have_text(f"{CATS} items deleted.")
    left = httpx.get(f"{server.url}/v1/items").json()["items"]
    assert [one["id"] for one in left] == ["vector"]


def test_a_late_answer_to_an_earlier_search_is_not_shown(page: Page) -> None:
    of_cats = re.compile(r"/v1/items\?prefix=cats")
    held: list[Route] = []
    page.route(of_cats, lambda route: held.append(route))
    with page.expect_request(of_cats):
        find(page, "cats/")
    find(page, "v")
    expect(page.locator("#items b")).to_have_text(["vector"])
    with page.expect_response(of_cats) as late:
        held[0].continue_()
    late.value.finished()
    # What the page makes of an answer, it makes before the next frame is drawn.
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert ids(page) == ["vector"]
