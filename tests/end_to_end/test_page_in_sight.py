"""What stands in the window after a click far down on the page: the explanation, or why something failed."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.end_to_end.browser import CHROMIUM, NO_CHROMIUM, faultless_page
from tests.end_to_end.server import Server, serving
from tests.pictures import encoded, landscape, photo

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)

WINDOWS: list[ViewportSize] = [{"width": 1280, "height": 900}, {"width": 360, "height": 740}]
# How far a click moves the row, by the end of the next frames.
_MOVED = """async (button) => {
    const top = () => button.getBoundingClientRect().top;
    const before = top();
    button.click();
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    return top() - before;
}"""


@pytest.fixture(scope="module")
def server(
    tiny_models: Path, module_index: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("page")
    with serving(tiny_models, folder, workers=1, database_url=module_index) as server:
        for number in range(12):
            httpx.put(f"{server.url}/v1/items/{number}", content=photo(number)).raise_for_status()
        yield server


@pytest.fixture(params=WINDOWS, ids=["desk", "phone"])
def page(server: Server, browser: Browser, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The page with the answer to a photo."""
    with faultless_page(browser, server.url, viewport=request.param) as page:
        file = tmp_path / "own.png"
        file.write_bytes(encoded(landscape(90, 60)))
        page.set_input_files("#photo", file)
        expect(page.locator("#status")).to_contain_text("Answered in")
        yield page


def in_window(page: Page, selector: str) -> bool:
    """Whether all of it stands in the window."""
    window = page.viewport_size
    box = page.locator(selector).bounding_box()
    assert window is not None
    assert box is not None
    return box["y"] >= 0 and box["y"] + box["height"] <= window["height"]


def test_a_chosen_neighbour_is_explained_in_sight_beside_its_picture(page: Page) -> None:
    page.click("#neighbours button >> nth=11")
    expect(page.locator("#hit-meaning")).to_contain_text("that speak for your photo")
    shown = "image => image.decode().then(() => image.naturalWidth)"
    assert page.locator("#hit-picture").evaluate(shown) == 32
    for figure in ("#map", "#hit-picture", "#hit"):
        assert in_window(page, figure), figure


def test_a_click_that_ends_an_explanation_leaves_its_row_in_place(page: Page) -> None:
    page.click("#neighbours button >> nth=11")
    expect(page.locator("#hit-meaning")).to_contain_text("that speak for your photo")
    chosen = page.locator("#neighbours button >> nth=11")
    chosen.scroll_into_view_if_needed()
    assert chosen.evaluate(_MOVED) == pytest.approx(0, abs=1)
    expect(page.locator("#hit-plain")).to_be_hidden()


def test_a_failure_is_said_in_sight_of_what_was_pressed(page: Page) -> None:
    page.click("#browser summary")
    expect(page.locator("#items li")).to_have_count(12)
    page.fill("#find-metadata", "hat")
    page.click("#find button")
    expect(page.locator("#status")).to_have_attribute("role", "alert")
    assert in_window(page, "#message")
    # What has the focus is not covered by it.
    message, button = page.locator("#message").bounding_box(), page.locator("#find button").bounding_box()
    assert message is not None
    assert button is not None
    assert button["y"] >= message["y"] + message["height"] or button["y"] + button["height"] <= message["y"]
    page.click("#dismiss")
    expect(page.locator("#message")).to_be_hidden()
