"""The page at `/` in a real browser, in front of the real server with the shipped model."""

import base64
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pyarrow.parquet as pq
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from service.quotas.api_keys import new_key, table_of
from tests.end_to_end.browser import CHROMIUM, NO_CHROMIUM
from tests.end_to_end.server import ROOT, Server, serving
from tests.pictures import encoded, landscape

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)


@pytest.fixture(scope="module")
def server(module_index: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("page")
    with serving(ROOT / "models", folder, model="cifar10", workers=1, database_url=module_index) as server:
        yield server


@pytest.fixture
def errors() -> list[str]:
    """What the browser complained of: a script's failure, or something that the page's policy forbids."""
    return []


@pytest.fixture
def page(server: Server, browser: Browser, errors: list[str]) -> Iterator[Page]:
    page = browser.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(server.url)
    expect(page.locator("#model")).to_have_value(re.compile(r"^cifar10/\d+$"))
    yield page
    page.close()


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Six real images as files."""
    folder = tmp_path_factory.mktemp("photos")
    rows = pq.read_table(ROOT / "tests" / "data" / "sample_test.parquet").slice(0, 6).to_pylist()
    for number, row in enumerate(rows):
        (folder / f"photo {number}.jpg").write_bytes(row["img"]["bytes"])
    return sorted(folder.iterdir())


def ask(page: Page, photo: Path) -> None:
    """Choose a photo and wait for its answer."""
    expect(page.locator("#model")).not_to_have_value("")
    page.set_input_files("#photo", photo)
    expect(page.locator("#name")).to_contain_text(photo.name)
    expect(page.locator("#status")).to_have_text(re.compile(r"^Answered in \d+ ms\.$"))


def test_a_photo_is_answered_with_its_map(
    page: Page, server: Server, photos: list[Path], errors: list[str]
) -> None:
    ask(page, photos[0])
    route = f"{server.url}/v1/mi-maps?kind=contribution"
    answer = httpx.post(route, content=photos[0].read_bytes()).json()["data"][0]
    values = [
        (value, row, column) for row, line in enumerate(answer["values"]) for column, value in enumerate(line)
    ]
    expect(page.locator("#meaning")).to_have_text(
        f"Contribution of each patch: {answer['mean']:.2f} on average."
    )
    canvas = page.locator("#map")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    for value, row, column in (max(values), min(values)):
        across, down = (column + 0.5) / answer["columns"], (row + 0.5) / answer["rows"]
        page.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"])
        expect(page.locator("#patch")).to_have_text(f"Row {row + 1}, column {column + 1}: {value:.2f}")
        red, _, blue = canvas.evaluate(
            """(canvas, [across, down]) => {
                const [x, y] = [Math.floor(across * canvas.width), Math.floor(down * canvas.height)];
                return [...canvas.getContext("2d").getImageData(x, y, 1, 1).data].slice(0, 3);
            }""",
            [across, down],
        )
        assert red > blue
    assert errors == []


def test_images_are_added_and_found_and_a_neighbour_is_explained(
    page: Page, server: Server, photos: list[Path], tmp_path: Path, errors: list[str]
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(photos[0].read_bytes()[:300])
    ask(page, photos[1])
    page.set_input_files("#images", [*photos, broken])
    expect(page.locator("#status")).to_have_text("6 of 7 images added.")
    expect(page.locator("#refused li")).to_have_text(re.compile(r"^broken\.jpg: The JPEG ends before"))
    expect(page.locator("#index")).to_have_text("6 images are searched.")
    neighbours = page.locator("#neighbours button")
    expect(neighbours).to_have_count(6)
    expect(neighbours.first).to_have_text("1.000photo 1.jpg")
    picture = neighbours.first.locator("img")
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 32
    card = httpx.get(f"{server.url}/v1/models").json()["data"][0]["card"]["calibration"]
    route = f"{server.url}/v1/neighbours?k=6&explain=true"
    hits = httpx.post(route, content=photos[1].read_bytes()).json()["neighbours"]
    middle = (card["mi_nats"] + card["shuffled_nats"]) / 2
    weak = [hit["id"] for hit in hits if hit["explanation"]["mean"] < middle]
    assert page.locator("#neighbours .weak").evaluate_all("all => all.map((one) => one.dataset.id)") == weak
    assert 0 < len(weak) < len(hits)
    neighbours.nth(2).click()
    expect(page.locator("#meaning")).to_have_text(
        re.compile(r"^Patches of your photo that speak for photo \d")
    )
    expect(page.locator("#kinds input:checked")).to_have_count(0)
    expect(neighbours.nth(2)).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#hit-meaning")).to_have_text(re.compile(r"^Patches of photo \d.jpg that speak for"))
    neighbours.nth(2).click()
    expect(page.locator("#meaning")).to_have_text(re.compile("^Contribution of each patch"))
    # The browser tells that the service has refused one.
    assert [error for error in errors if "422" not in error] == []


def test_arrow_keys_go_over_the_patches(page: Page, photos: list[Path], errors: list[str]) -> None:
    ask(page, photos[0])
    page.focus("#map")
    expect(page.locator("#patch")).to_have_text(re.compile("^Row 5, column 5: "))
    for key, (row, column) in (("ArrowRight", (5, 6)), ("ArrowUp", (4, 6)), ("ArrowUp", (3, 6))):
        page.keyboard.press(key)
        expect(page.locator("#patch")).to_have_text(re.compile(rf"^Row {row}, column {column}: "))
    frame, map_ = page.locator("#map-side .patch-frame").bounding_box(), page.locator("#map").bounding_box()
    assert frame is not None
    assert map_ is not None
    assert (frame["x"] - map_["x"]) / map_["width"] == pytest.approx(5 / 8, abs=0.01)
    assert (frame["y"] - map_["y"]) / map_["height"] == pytest.approx(2 / 8, abs=0.01)
    page.keyboard.press("Tab")
    expect(page.locator("#map-side .patch-frame")).to_be_hidden()
    expect(page.locator("#patch")).to_have_text("")
    assert errors == []


def test_several_dropped_files_are_stored_only_when_that_is_chosen(
    page: Page, server: Server, errors: list[str]
) -> None:
    before = httpx.get(f"{server.url}/v1/items").json()["items"]
    files = page.evaluate_handle(
        """data => {
            const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
            const files = new DataTransfer();
            for (const name of ["one.png", "two.png"]) files.items.add(new File([bytes], name));
            return files;
        }""",
        base64.b64encode(encoded(landscape(64, 48))).decode(),
    )
    page.dispatch_event("body", "drop", {"dataTransfer": files})
    expect(page.locator("#several-text")).to_have_text("2 files were dropped.")
    page.keyboard.press("Escape")
    expect(page.locator("#several")).to_be_hidden()
    page.dispatch_event("body", "drop", {"dataTransfer": files})
    page.click("#several button[value=first]")
    expect(page.locator("#name")).to_contain_text("one.png, 64")
    assert httpx.get(f"{server.url}/v1/items").json()["items"] == before
    page.dispatch_event("body", "drop", {"dataTransfer": files})
    page.click("#several button[value=add]")
    expect(page.locator("#status")).to_have_text("2 of 2 images added.")
    assert errors == []


def test_a_photo_can_be_dropped_anywhere_and_large_ones_turn_upright(
    page: Page, tmp_path: Path, errors: list[str]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = encoded(landscape(1200, 800), "JPEG", exif=exif)
    files = page.evaluate_handle(
        """data => {
            const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
            const files = new DataTransfer();
            files.items.add(new File([bytes], "dropped.jpg", {type: "image/jpeg"}));
            return files;
        }""",
        base64.b64encode(photo).decode(),
    )
    page.dispatch_event("body", "drop", {"dataTransfer": files})
    expect(page.locator("#name")).to_have_text(re.compile(r"^dropped\.jpg, 800 . 1200$"))
    assert page.locator("#map").evaluate("canvas => [canvas.width, canvas.height]") == [480, 720]
    assert errors == []


@pytest.mark.parametrize("image_format", ["HEIC", "TIFF", "AVIF"])
def test_a_photo_is_answered_whether_or_not_the_browser_can_show_it(
    page: Page, tmp_path: Path, errors: list[str], image_format: str
) -> None:
    photo = tmp_path / f"photo.{image_format.lower()}"
    photo.write_bytes(encoded(landscape(120, 80), image_format))
    ask(page, photo)
    shown = image_format == "AVIF"
    remark = "" if shown else r" \(this browser cannot show it\)"
    expect(page.locator("#name")).to_have_text(re.compile(rf"^{photo.name}, 120 . 80{remark}$"))
    expect(page.locator("#original")).to_be_visible(visible=shown)
    assert page.locator("#map").evaluate("canvas => [canvas.width, canvas.height]") == [320, 213]
    page.set_input_files("#images", photo)
    expect(page.locator("#status")).to_have_text("1 of 1 images added.")
    assert errors == []


def test_a_broken_photo_is_named_and_the_answer_before_it_stays(
    page: Page, photos: list[Path], tmp_path: Path
) -> None:
    ask(page, photos[2])
    text = tmp_path / "notes.jpg"
    text.write_text("no picture")
    page.set_input_files("#photo", text)
    expect(page.locator("#status")).to_contain_text("are not an image in an accepted format")
    expect(page.locator("#status")).to_have_attribute("role", "alert")
    page.click("#dismiss")
    expect(page.locator("#message")).to_be_hidden()
    expect(page.locator("#name")).to_contain_text(photos[2].name)
    # It is still what is shown: its map, and what is saved of it.
    page.check("#kinds input[value=information]", force=True)
    expect(page.locator("#meaning")).to_contain_text("Information of each patch")


def test_who_has_no_images_at_hand_is_offered_some_and_may_remove_them(
    browser: Browser, tiny_models: Path, index_url: str, tmp_path: Path, photos: list[Path], errors: list[str]
) -> None:
    with serving(tiny_models, tmp_path, workers=1, database_url=index_url) as server:
        page = browser.new_page()
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.goto(server.url)
        ask(page, photos[0])
        expect(page.locator("#nothing-searched")).to_have_text("Nothing is searched yet: add images below.")
        expect(page.locator("#nearest-note")).to_be_hidden()
        # Contrast is with other images of the index, of which there are none.
        expect(page.locator("#kinds input[value=contrast]")).to_be_disabled()
        expect(page.locator("#question")).to_contain_text("No contrast: The index holds no other image")
        # Samples that are refused, by a stream that is answered with 200, are not said to be added.
        page.route("**/v1/items", lambda route: route.continue_(post_data="{cut off"), times=1)
        page.click("#samples")
        expect(page.locator("#message")).to_have_class("failed")
        page.click("#examples button:has([alt=Dress])")
        expect(page.locator("#name")).to_contain_text("example-dress.jpg")
        expect(page.locator("#notice")).to_be_visible()
        expect(page.locator("#index")).to_have_text("150 images are searched.")
        expect(page.locator("#samples")).to_be_hidden()
        neighbours = page.locator("#neighbours button")
        expect(neighbours).to_have_count(12)
        expect(neighbours.first).to_contain_text("infomax-samples/")
        expect(page.locator("#kinds input[value=contrast]")).to_be_enabled()
        page.click("#undo")
        expect(page.locator("#status")).to_have_text("150 sample images removed.")
        expect(page.locator("#notice")).to_be_hidden()
        page.click("#samples")
        expect(page.locator("#status")).to_have_text("150 sample images added.")

        page.reload()
        ask(page, photos[0])
        # Their pictures are asked for behind the answer, and items that are gone have none.
        expect(page.locator("#neighbours img:not([src]):not(.missing)")).to_have_count(0)
        page.click("#no-samples")
        expect(page.locator("#status")).to_have_text("150 sample images removed.")
        expect(page.locator("#index")).to_have_text("No images are searched yet.")
        expect(page.locator("#no-samples")).to_be_hidden()
        expect(page.locator("#samples")).to_be_visible()
        expect(neighbours).to_have_count(0)
        page.close()
    assert errors == []


def test_a_service_that_asks_for_a_key_gets_it_from_the_user(
    browser: Browser, tiny_models: Path, index_url: str, tmp_path: Path, photos: list[Path]
) -> None:
    key, keys = new_key(), tmp_path / "keys.toml"
    keys.write_text(table_of("one", key, None, None))
    with serving(tiny_models, tmp_path, workers=1, api_keys_file=keys, database_url=index_url) as server:
        page = browser.new_page()
        page.goto(server.url)
        for wrong in ("nonsense", key):
            expect(page.locator("#key")).to_be_visible()
            page.fill("#key-text", wrong)
            page.click("#key button")
        expect(page.locator("#key")).to_be_hidden()
        ask(page, photos[0])
        page.close()
