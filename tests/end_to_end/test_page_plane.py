"""The index as points on the page in a real browser: places, groups, the photo among them, arrow keys."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.end_to_end.browser import CHROMIUM, NO_CHROMIUM, faultless_page
from tests.end_to_end.server import Server, serving
from tests.pictures import photo

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)

ITEMS = 12


@pytest.fixture(scope="module")
def server(
    tiny_models: Path, module_index: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("page")
    with serving(tiny_models, folder, workers=1, database_url=module_index) as server:
        for seed in range(ITEMS):
            metadata = f'{{"label": "{"cat" if seed % 2 else "dog"}", "number": {seed}}}'
            route = f"{server.url}/v1/items/{seed}"
            httpx.put(route, content=photo(seed), params={"metadata": metadata}).raise_for_status()
        httpx.put(f"{server.url}/v1/items/vector", json={"vector": [1.0] * 20}).raise_for_status()
        yield server


@pytest.fixture
def page(server: Server, browser: Browser) -> Iterator[Page]:
    with faultless_page(browser, server.url) as page:
        page.click("#plane-side summary")
        expect(page.locator("#plane-note")).to_contain_text(f"{ITEMS + 1} items along the two directions")
        yield page


def test_points_lie_as_their_components_do(page: Page, server: Server) -> None:
    points = httpx.get(f"{server.url}/v1/index/plane").json()["points"]
    across, down = ([point[axis] for point in points] for axis in "xy")
    scale = min(912 / (max(across) - min(across)), 592 / (max(down) - min(down)))
    canvas = page.locator("#plane")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    for point in points[:4]:
        x = 480 + (point["x"] - (max(across) + min(across)) / 2) * scale
        y = 320 - (point["y"] - (max(down) + min(down)) / 2) * scale
        page.mouse.move(box["x"] + x / 960 * box["width"], box["y"] + y / 640 * box["height"])
        expect(page.locator("#plane-point")).to_have_text(point["id"])
        expect(page.locator("#plane-picture img")).to_have_count(1)
    # By the label, since each number stands once.
    expect(page.locator("#plane-legend li")).to_have_text(["cat", "dog", "others"])


def test_the_photo_lies_on_its_copy_in_the_index(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "photo.jpg"
    file.write_bytes(photo(5))
    page.set_input_files("#photo", file)
    expect(page.locator("#plane-legend")).to_contain_text("your photo")
    page.focus("#plane-side summary")
    page.keyboard.press("Tab")
    expect(page.locator("#plane-point")).to_have_text("Your photo")
    place = "frame => [frame.style.left, frame.style.top].map(parseFloat)"
    photo_at = page.locator("#plane-frame").evaluate(place)
    canvas = page.locator("#plane")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    # The copy is drawn first, so that the pointer finds it before the photo.
    page.mouse.move(box["x"] + photo_at[0] / 100 * box["width"], box["y"] + photo_at[1] / 100 * box["height"])
    expect(page.locator("#plane-point")).to_have_text(re.compile(r"^(5|Your photo)$"))
    seen = set()
    for key in ("ArrowLeft", "ArrowUp", "ArrowRight", "ArrowDown") * 3:
        page.keyboard.press(key)
        seen.add(page.locator("#plane-point").text_content())
    assert len(seen) > 2
