"""The README's picture of the page, of a service that runs and whose index is empty.

INFOMAX_MODEL=clothing make serve
make page-picture DATA=test.parquet     # a Parquet file with images under `img` or `image`
"""

import shutil
import tempfile
from pathlib import Path

import typer
from playwright.sync_api import expect, sync_playwright

from docs.pictures import encoded_images

IMAGE = Path(__file__).parent / "images" / "page.png"
_IMAGES = 300
_PATIENCE_MS = 120_000
_VIEW = {"width": 1000, "height": 1000}


def main(data: Path, url: str = "http://localhost:8000") -> None:
    """Ask for the first image, and search the others of the first 300."""
    with tempfile.TemporaryDirectory() as folder:
        first, *others = _files(data, Path(folder))
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            page = browser.new_page(color_scheme="light", viewport=_VIEW)  # type: ignore[arg-type]
            page.goto(url)
            page.set_input_files("#images", others)
            expect(page.locator("#status")).to_contain_text("images added", timeout=_PATIENCE_MS)
            page.set_input_files("#photo", first)
            expect(page.locator("#status")).to_contain_text("Answered in", timeout=_PATIENCE_MS)
            page.screenshot(path=IMAGE, full_page=True)
            browser.close()


def _files(data: Path, folder: Path) -> list[Path]:
    contents = encoded_images(data)[:_IMAGES]
    files = [folder / f"{number:03}.jpg" for number in range(len(contents))]
    for file, content in zip(files, contents, strict=True):
        file.write_bytes(content)
    return files


if __name__ == "__main__":
    typer.run(main)
