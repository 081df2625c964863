"""What is taken along from the page: picture, answer, and the request as curl and Python, which are run."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from service.quotas.api_keys import new_key, table_of
from tests.end_to_end.browser import CHROMIUM, NO_CHROMIUM, collect_errors
from tests.end_to_end.server import ROOT, Server, serving
from tests.pictures import encoded, landscape, photo

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)

NAME = """it's "one" $(photo) ü.jpg"""


@pytest.fixture(scope="module")
def key() -> str:
    return new_key()


@pytest.fixture(scope="module")
def server(
    tiny_models: Path, module_index: str, tmp_path_factory: pytest.TempPathFactory, key: str
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("page")
    keys = folder / "keys.toml"
    keys.write_text(table_of("one", key, None, None))
    with serving(tiny_models, folder, workers=1, api_keys_file=keys, database_url=module_index) as server:
        with httpx.Client(base_url=server.url, headers={"X-API-Key": key}) as http:
            for seed in range(3):
                http.put(f"/v1/items/{seed}", content=photo(seed)).raise_for_status()
        yield server


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / NAME
    path.write_bytes(encoded(landscape(300, 200), "JPEG"))
    return path


@pytest.fixture
def page(server: Server, browser: Browser, key: str, file: Path) -> Iterator[Page]:
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(server.url)
    page.fill("#key-text", key)
    page.click("#key button")
    expect(page.locator("#key")).to_be_hidden()
    errors = collect_errors(page)
    page.set_input_files("#photo", file)
    expect(page.locator("#status")).to_contain_text("Answered in")
    yield page
    context.close()
    assert errors == []


def copied(page: Page, name: str) -> str:
    if not page.locator("#curl").is_visible():
        page.click("#request summary")
    page.click(f"#copy-{name}")
    expect(page.locator("#status")).to_have_text("Copied.")
    text: str = page.evaluate("navigator.clipboard.readText()")
    return text


def run(command: list[str], folder: Path, key: str) -> str:
    environment = {**os.environ, "INFOMAX_API_KEY": key, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def saved(page: Page, button: str) -> tuple[str, bytes]:
    with page.expect_download() as download:
        page.click(button)
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def test_curl_gets_the_answer_that_is_saved_as_json(page: Page, file: Path, key: str) -> None:
    text = copied(page, "curl")
    assert key not in text
    by_curl = json.loads(run(["bash", "-c", text.replace("curl ", "curl --silent ", 1)], file.parent, key))
    name, content = saved(page, "#save-json")
    assert name.endswith(".json")
    assert content.endswith(b"}\n")
    answer = json.loads(content)
    assert [hit["id"] for hit in answer["neighbours"]] == [hit["id"] for hit in by_curl["neighbours"]]
    assert [one["kind"] for one in answer["maps"]] == ["contribution", "information", "contrast"]
    np.testing.assert_allclose(answer["embedding"], by_curl["embedding"], atol=1e-5)


def test_python_prints_what_the_page_shows(page: Page, file: Path, key: str) -> None:
    text = copied(page, "python")
    assert key not in text
    printed = run([sys.executable, "-c", text], file.parent, key)
    shown = page.locator("#neighbours button").evaluate_all("all => all.map((one) => one.dataset.id)")
    lines = printed.splitlines()
    assert [line.split()[1] for line in lines[:3]] == shown
    assert [line.split()[0] for line in lines[3:]] == ["contribution", "information", "contrast"]


def test_the_picture_holds_photo_and_hit_each_with_its_map(page: Page) -> None:
    sizes = []
    for press in (False, True):
        if press:
            page.click("#neighbours button >> nth=0")
            expect(page.locator("#hit-meaning")).to_contain_text("that speak for your photo")
            page.locator("#hit-picture").evaluate("image => image.decode()")
        name, content = saved(page, "#save-picture")
        assert name.endswith(".png")
        picture = Image.open(io.BytesIO(content)).convert("RGB")
        if folder := os.environ.get("INFOMAX_TEST_PICTURES"):
            picture.save(Path(folder) / f"saved-{press}.png")
        sizes.append(picture.width)
        pixels = np.asarray(picture)
        # Of the photo and its map, and of the hit and its map: none is left white.
        for column in range(4 if press else 2):
            left = 24 + column * (480 + 24)
            assert pixels[24:300, left : left + 480].std() > 5
    assert sizes == [24 + 2 * 504, 24 + 4 * 504]
