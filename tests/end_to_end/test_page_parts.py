"""The page's answer in parts, and searches by an item of the index and by a part of a photo."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Request, expect

from tests.end_to_end.browser import CHROMIUM, NO_CHROMIUM, faultless_page
from tests.end_to_end.server import Server, serving
from tests.pictures import encoded, landscape, photo
from tests.tiny_model import EMBEDDING

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)

LONG = "a-folder/of_photographs/photograph.of.something-0.jpg"
# Holds what comes behind the first line of a search until `release` is called.
_IN_PARTS = """() => {
    const real = window.fetch;
    window.fetch = async (...request) => {
        const response = await real(...request);
        if (!String(request[0]).includes("v1/neighbours")) return response;
        const [first, ...rest] = (await response.text()).split(/(?<=\\n)/);
        const bytes = (text) => new TextEncoder().encode(text);
        const body = new ReadableStream({
            start(stream) {
                stream.enqueue(bytes(first));
                window.release = () => {
                    rest.forEach((line) => stream.enqueue(bytes(line)));
                    stream.close();
                };
            },
        });
        return new Response(body, { status: response.status, headers: response.headers });
    };
}"""


@pytest.fixture(scope="module")
def server(
    tiny_models: Path, module_index: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("page")
    with serving(tiny_models, folder, workers=1, database_url=module_index, index_regions=True) as server:
        with httpx.Client(base_url=server.url) as http:
            for number in range(5):
                http.put(f"/v1/items/{number}", content=photo(number)).raise_for_status()
            http.put(f"/v1/items/{LONG}", content=encoded(landscape(90, 60))).raise_for_status()
            http.put("/v1/items/vector", json={"vector": [1.0] * EMBEDDING}).raise_for_status()
        yield server


@pytest.fixture
def page(server: Server, browser: Browser) -> Iterator[Page]:
    with faultless_page(browser, server.url) as page:
        expect(page.locator("#index")).to_have_text("7 images are searched.")
        yield page


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "own.png"
    path.write_bytes(encoded(landscape(90, 60)))
    return path


def ask(page: Page, file: Path) -> None:
    page.set_input_files("#photo", file)
    expect(page.locator("#status")).to_contain_text("Answered in")


def ids(page: Page) -> list[str]:
    found: list[str] = page.locator("#neighbours .id").all_text_contents()
    return found


def test_map_and_neighbours_are_shown_before_the_neighbours_sides_are_there(page: Page, file: Path) -> None:
    page.evaluate(_IN_PARTS)
    ask(page, file)
    expect(page.locator("#meaning")).to_contain_text("Contribution of each patch")
    expect(page.locator("#neighbours button")).to_have_count(7)
    said = page.locator("#status").text_content()
    page.click(f'#neighbours button[data-id="{LONG}"]')
    expect(page.locator("#hit-meaning")).to_have_text(f"The patches of {LONG} are being mapped …")
    page.hover("#hit")
    page.evaluate("window.release()")
    expect(page.locator("#hit-meaning")).to_contain_text(f"Patches of {LONG} that speak for your photo")
    # A screen reader has been told once.
    assert page.locator("#status").text_content() == said


def test_a_click_on_an_item_shows_its_neighbours(page: Page, server: Server) -> None:
    page.click("#browser summary")
    page.get_by_role("button", name="Neighbours of 3", exact=True).click()
    expect(page.locator("#name")).to_have_text(re.compile(r"^3, 32 . 32$"))
    expect(page.locator("#neighbours button")).to_have_count(6)
    answer = httpx.post(f"{server.url}/v1/neighbours", json={"id": "3", "k": 13}).json()["neighbours"]
    assert ids(page) == [hit["id"] for hit in answer if hit["id"] != "3"]
    expect(page.locator("#meaning")).to_contain_text("Contribution of each patch")
    page.click("#request summary")
    expect(page.locator("#curl")).to_contain_text('"id":"3"')
    expect(page.locator("#python")).to_contain_text('id="3"')


def test_a_bare_vector_has_neighbours_and_no_map(page: Page) -> None:
    page.click("#browser summary")
    page.get_by_role("button", name="Neighbours of vector", exact=True).click()
    expect(page.locator("#no-maps")).to_be_visible()
    expect(page.locator("#mapped")).to_be_hidden()
    expect(page.locator("#neighbours button")).to_have_count(6)
    page.get_by_role("button", name="Neighbours of 2", exact=True).click()
    expect(page.locator("#mapped")).to_be_visible()


def test_ids_break_behind_their_marks_alone(page: Page) -> None:
    page.click("#browser summary")
    words = page.locator(f'#items .id[title="{LONG}"]').evaluate(
        "id => [...id.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE).map((node) => node.data)"
    )
    assert "".join(words) == LONG
    assert words == re.findall(r".*?[/_.-]|[^/_.-]+$", LONG)
    assert (
        page.locator("#items .id").first.evaluate("id => getComputedStyle(id).overflowWrap") == "break-word"
    )


def dragged(page: Page, file: Path) -> Request:
    """The request that a drag over the right half of the photo sends."""
    ask(page, file)
    page.locator("#area").scroll_into_view_if_needed()
    box = page.locator("#original").bounding_box()
    assert box is not None
    with page.expect_request(lambda request: "region=" in request.url) as sent:
        page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.1 * box["height"])
        page.mouse.down()
        page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + 0.9 * box["height"], steps=3)
        page.mouse.up()
    return sent.value


def test_a_dragged_box_finds_the_images_that_hold_it(page: Page, server: Server, file: Path) -> None:
    request = dragged(page, file)
    region: list[Any] = json.loads(httpx.URL(request.url).params["region"])
    assert region == pytest.approx([45, 6, 36, 48], abs=1.5)
    expect(page.locator("#part-note")).to_be_visible()
    params: dict[str, str | int] = {"k": 12, "region": json.dumps(region)}
    hits = httpx.post(f"{server.url}/v1/neighbours", content=file.read_bytes(), params=params).json()
    assert ids(page) == [hit["id"] for hit in hits["neighbours"]]
    assert ids(page)[0] == LONG
    expect(page.locator("#status")).to_have_text("The 6 nearest parts.")
    expect(page.locator("#without-parts")).to_have_text(
        "1 item has no regions, and cannot be found by a part."
    )
    page.click("#request summary")
    written = json.dumps(region, separators=(",", ":"))
    expect(page.locator("#curl")).to_contain_text(f"v1/neighbours?k=12&region={quote(written)}'")
    expect(page.locator("#python")).to_contain_text(f"region={written},")
    expect(page.locator("#python")).not_to_contain_text("maps")
    # The frame lies where the answer says, on a thumbnail that shows the whole image in a square.
    x, _, width, _ = hits["neighbours"][0]["region"]
    frame = page.locator("#neighbours .part-frame").first
    expect(frame).to_be_visible()
    sides = frame.evaluate("frame => [frame.style.left, frame.style.width].map(parseFloat)")
    assert sides == pytest.approx([100 * x / 90, 100 * width / 90], abs=0.1)
    page.click("#whole")
    expect(page.locator("#neighbours button")).to_have_count(7)
    expect(page.locator("#part-note")).to_be_hidden()
    expect(page.locator("#box")).to_be_hidden()
    expect(page.locator("#curl")).to_contain_text("maps=")


def test_a_click_on_a_hit_of_a_part_shows_its_neighbours(page: Page, file: Path) -> None:
    dragged(page, file)
    page.click("#neighbours .part >> nth=0")
    expect(page.locator("#name")).to_have_text(re.compile(rf"^{LONG}, 90 . 60$"))
    expect(page.locator("#part-note")).to_be_hidden()
    expect(page.locator("#box")).to_be_hidden()


def test_without_a_keyboard_a_button_searches_by_the_box_and_escape_takes_it_away(
    page: Page, file: Path
) -> None:
    ask(page, file)
    expect(page.locator("#search-part")).to_be_hidden()
    page.click("#choose-part")
    page.set_viewport_size({"width": 1000, "height": 400})
    with page.expect_request(lambda request: "region=" in request.url) as sent:
        page.click("#search-part")
    region = json.loads(httpx.URL(sent.value.url).params["region"])
    assert region == pytest.approx([0.3 * 90, 0.3 * 60, 0.4 * 90, 0.4 * 60], abs=1.1)
    expect(page.locator("#neighbours .part")).to_have_count(6)
    expect(page.locator("#neighbours .part").last).to_be_in_viewport(ratio=0.9)
    page.keyboard.press("Escape")
    for gone in ("#box", "#search-part", "#part-note", "#whole"):
        expect(page.locator(gone)).to_be_hidden()
    expect(page.locator("#neighbours button:not(.part)")).to_have_count(7)
    page.click("#choose-part")
    page.keyboard.press("Escape")
    expect(page.locator("#choose-part")).to_be_focused()
    expect(page.locator("#box")).to_be_hidden()


def test_a_box_is_moved_and_searched_by_from_the_keyboard(page: Page, file: Path) -> None:
    ask(page, file)
    page.focus("#choose-part")
    page.keyboard.press("Enter")
    expect(page.locator("#area")).to_be_focused()
    assert Axe().run(page).response["violations"] == []
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "Shift+ArrowRight"):
        page.keyboard.press(key)
    with page.expect_request(lambda request: "region=" in request.url) as sent:
        page.keyboard.press("Enter")
    region = json.loads(httpx.URL(sent.value.url).params["region"])
    assert region == pytest.approx([0.4 * 90, 0.35 * 60, 0.45 * 90, 0.4 * 60], abs=1.1)
    expect(page.locator("#neighbours .part")).to_have_count(6)
    assert Axe().run(page).response["violations"] == []


def test_where_regions_are_not_kept_the_page_says_how_to_keep_them(
    browser: Browser, tiny_models: Path, index_url: str, tmp_path: Path, file: Path
) -> None:
    with serving(tiny_models, tmp_path / "home", workers=1, database_url=index_url) as server:
        httpx.put(f"{server.url}/v1/items/0", content=photo(0)).raise_for_status()
        page = browser.new_page()
        page.goto(server.url)
        ask(page, file)
        expect(page.locator("#no-parts")).to_contain_text("INFOMAX_INDEX_REGIONS=true")
        expect(page.locator("#choose-part")).to_be_hidden()
        page.close()
