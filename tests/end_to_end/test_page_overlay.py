"""The page's overlay in a real browser: the map lies on the photo where its patches are."""

import base64
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from contract.patches import PatchGrid
from contract.placement import Placement, place
from contract.preprocessing import Preprocessing, ResizeRule
from tests.end_to_end.browser import CHROMIUM, NO_CHROMIUM, chromium
from tests.end_to_end.server import serving
from tests.pictures import encoded, landscape

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)

GRID = PatchGrid(rows=8, columns=8, stride=8, receptive_field=8, first_centre=4)
RULES: tuple[ResizeRule, ...] = ("stretch", "center_crop", "letterbox")
SIZES = [(640, 480), (300, 500), (640, 201), (512, 512)]
# A planted patch over a picture; then the mean place of what is red, in shares of the canvas.
DRAW = """async ([data, nats, card]) => {
    const { draw } = await import("/page/map.js");
    const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
    const image = await createImageBitmap(new Blob([bytes]));
    const canvas = document.createElement("canvas");
    document.body.replaceChildren(canvas);
    draw(canvas, image, nats, card, 1, 0.6);
    const { data: pixels } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let [sum, across, down] = [0, 0, 0];
    for (let at = 0; at < pixels.length; at += 4) {
        const red = Math.max(0, pixels[at] - pixels[at + 2] - 8);
        sum += red;
        across += red * ((at / 4) % canvas.width + 0.5);
        down += red * (Math.floor(at / 4 / canvas.width) + 0.5);
    }
    return [across / sum / canvas.width, down / sum / canvas.height];
}"""
PATCH = """async ([place, image, nats, card]) => {
    const { patchAt } = await import("/page/map.js");
    return patchAt(place, image, nats, card);
}"""
LAYOUT = """async ([card, image]) => {
    const { layout } = await import("/page/map.js");
    const { across, down } = layout(card, image);
    return [across.start, across.step, ...across.seen, down.start, down.step, ...down.seen];
}"""


@pytest.fixture(scope="module")
def page(tiny_models: Path, module_index: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("page")
    with (
        serving(tiny_models, folder, workers=1, database_url=module_index) as server,
        chromium() as browser,
    ):
        page = browser.new_page()
        page.goto(server.url)
        yield page


def card(rule: Preprocessing) -> dict[str, Any]:
    return {"preprocessing": rule.model_dump(mode="json"), "patch_grid": GRID.model_dump()}


def planted(row: int, column: int) -> list[list[float]]:
    return [[float((r, c) == (row, column)) for c in range(GRID.columns)] for r in range(GRID.rows)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("resize_rule", RULES)
def test_a_planted_patch_is_drawn_at_its_box(
    page: Page, resize_rule: ResizeRule, size: tuple[int, int]
) -> None:
    rule = Preprocessing(height=64, width=64, resize_rule=resize_rule)
    box = GRID.boxes(place(rule, size))[4][2]
    photo = base64.b64encode(encoded(landscape(*size).convert("L"))).decode()
    across, down = page.evaluate(DRAW, [photo, planted(4, 2), card(rule)])
    if folder := os.environ.get("INFOMAX_TEST_PICTURES"):
        page.locator("canvas").screenshot(path=Path(folder) / f"{resize_rule}-{size[0]}x{size[1]}.png")
    assert across == pytest.approx((box.left + box.right) / 2 / size[0], abs=0.02)
    assert down == pytest.approx((box.top + box.bottom) / 2 / size[1], abs=0.02)


@pytest.mark.parametrize("resize_rule", RULES)
def test_the_page_places_images_as_the_contract_does(page: Page, resize_rule: ResizeRule) -> None:
    for width, height in [*SIZES, (1, 1), (4000, 3), (37, 1001), (97, 61)]:
        rule = Preprocessing(height=48, width=80, resize_rule=resize_rule)
        found = page.evaluate(LAYOUT, [card(rule), {"width": width, "height": height}])
        assert found == pytest.approx(expected(place(rule, (width, height)), width, height))


def expected(placement: Placement, width: int, height: int) -> list[float]:
    numbers: list[float] = []
    for axis, length in ((placement.across, width), (placement.down, height)):
        start = axis.to_original(GRID.first_centre - GRID.stride / 2)
        step = axis.to_original(GRID.first_centre + GRID.stride / 2) - start
        numbers += [place / length for place in (start, step, *axis.seen)]
    return numbers


def test_the_pointer_finds_the_patch_below_it_and_none_where_nothing_is_seen(page: Page) -> None:
    rule = Preprocessing(height=64, width=64, resize_rule="center_crop")
    box = GRID.boxes(place(rule, (640, 480)))[4][2]
    image = {"width": 640, "height": 480}
    inside = {"across": (box.left + box.right) / 2 / 640, "down": (box.top + box.bottom) / 2 / 480}
    assert page.evaluate(PATCH, [inside, image, planted(0, 0), card(rule)]) == [4, 2]
    assert page.evaluate(PATCH, [{"across": 0.1, "down": 0.5}, image, planted(0, 0), card(rule)]) is None
