"""The README's picture of the page, of a service that runs and whose index is empty.

make serve
make page-picture
"""

import shutil
from pathlib import Path

import typer
from playwright.sync_api import expect, sync_playwright

IMAGE = Path(__file__).parent / "images" / "page.png"
_PATIENCE_MS = 120_000
_VIEW = {"width": 1000, "height": 1000}


def main(url: str = "http://localhost:8000", example: str = "Shoes") -> None:
    """Click an example, as a newcomer does; the first click fills the empty index with the samples."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(color_scheme="light", viewport=_VIEW)  # type: ignore[arg-type]
        page.goto(url)
        page.get_by_role("button", name=example).click()
        expect(page.locator("#status")).to_contain_text("Answered in", timeout=_PATIENCE_MS)
        expect(page.locator("#neighbours img:not([src])")).to_have_count(0)
        page.screenshot(path=IMAGE, full_page=True)
        browser.close()


if __name__ == "__main__":
    typer.run(main)
