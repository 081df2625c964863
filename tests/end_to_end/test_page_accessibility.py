"""What axe-core finds on the page, in light, dark and at 360 pixels: nothing, in any of its states."""

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.end_to_end.browser import CHROMIUM, NO_CHROMIUM
from tests.end_to_end.server import ROOT, Server, serving, store_samples

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)

WIDE, NARROW = 1000, 360


@pytest.fixture(scope="module")
def server(module_index: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("page")
    with serving(ROOT / "models", folder, model="cifar10", workers=1, database_url=module_index) as server:
        store_samples(server)
        yield server


def found(page: Page) -> list[Any]:
    violations = Axe().run(page).response["violations"]
    return [(one["id"], one["help"], [node["target"] for node in one["nodes"]]) for one in violations]


def fits(page: Page) -> bool:
    """Whether nothing of the page stands beyond its right edge."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


@pytest.mark.parametrize(("scheme", "width"), [("light", WIDE), ("dark", WIDE), ("light", NARROW)])
def test_axe_core_finds_nothing(server: Server, browser: Browser, scheme: Any, width: int) -> None:
    page = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 1000})
    page.goto(server.url)
    expect(page.locator("#index")).to_contain_text("are searched")
    assert found(page) == []
    page.set_input_files("#photo", ROOT / "LICENSE")
    expect(page.locator("#message")).to_have_class("failed")
    assert found(page) == []
    page.click("#examples button >> nth=1")
    expect(page.locator("#status")).to_contain_text("Answered in")
    page.click("#neighbours button >> nth=1")
    expect(page.locator("#hit-side")).to_be_visible()
    for closed in ("#card", "#request", "#plane-side", "#browser"):
        page.click(f"{closed} summary")
    expect(page.locator("#found")).to_have_text("Items 1 to 24 of 150.")
    expect(page.locator("#plane-note")).to_contain_text("150 items")
    assert found(page) == []
    assert fits(page)
    page.click("#items .button >> nth=0")
    expect(page.locator("#confirm")).to_be_visible()
    assert found(page) == []
    page.close()
