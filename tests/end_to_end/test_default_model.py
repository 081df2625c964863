"""The first minute with the model that is served by default: an example is clicked on an empty index."""

from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from contract.artefact import open_artefact
from service.inference.locating import locate
from service.settings import Settings
from tests.end_to_end.browser import CHROMIUM, NO_CHROMIUM, chromium, faultless_page
from tests.end_to_end.server import ROOT, serving


@pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)
def test_an_example_is_answered_with_a_map_and_photographs_of_its_kind(tmp_path: Path) -> None:
    name = Settings.model_fields["model"].default
    card = open_artefact(locate(ROOT / "models", name)).card
    with (
        serving(ROOT / "models", tmp_path, model=name, workers=1) as server,
        chromium() as browser,
        faultless_page(browser, server.url) as page,
    ):
        page.get_by_role("button", name="Shoes").click()
        expect(page.locator("#status")).to_contain_text("Answered in")
        expect(page.locator("#model")).to_have_value(card.id)
        expect(page.locator("#index")).to_contain_text("150 images")
        neighbours = page.locator("#neighbours button")
        # Nine of ten neighbours are right by the card; the nearest three of ten kinds are a weak demand.
        nearest = neighbours.evaluate_all("all => all.slice(0, 3).map((one) => one.dataset.id)")
        assert all(one.startswith("infomax-samples/shoes/") for one in nearest), nearest
        # A newcomer clicks the first examples: the model finds most of their kind. Their order is by that.
        found = {}
        for image in (ROOT / "service" / "page").glob("example-*.jpg"):
            kind = f"infomax-samples/{image.stem.partition('-')[2]}/"
            answer = httpx.post(f"{server.url}/v1/neighbours?k=12", content=image.read_bytes()).json()
            found[image.name] = sum(hit["id"].startswith(kind) for hit in answer["neighbours"])
        shown = page.locator("#examples img").evaluate_all(
            "all => all.map((one) => one.src.split('/').at(-1))"
        )
        assert sorted(shown) == sorted(found)
        assert shown[:3] == sorted(found, key=found.__getitem__, reverse=True)[:3]
        page.focus("#map")
        page.keyboard.press("ArrowRight")
        middle = card.patch_grid.rows // 2 + 1
        expect(page.locator("#patch")).to_contain_text(f"Row {middle}, column {middle + 1}: ")
