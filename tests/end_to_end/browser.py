"""Chromium for tests of the page, and what it complained of."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, expect, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NO_CHROMIUM = "no Chromium is installed (apt install chromium)"
# A busy machine answers late; a page that is wrong is as wrong after a minute.
expect.set_options(timeout=60_000)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser that is closed when the block ends."""
    with sync_playwright() as playwright:
        # Tests may run as root, whom Chromium gives no sandbox.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def faultless_page(browser: Browser, url: str, **options: Any) -> Iterator[Page]:
    """A page of a service, closed when the block ends; nothing on it may have failed until then.

    Args:
        browser: opens it.
        url: of the page.
        options: of `Browser.new_page`.
    """
    page = browser.new_page(**options)
    errors = collect_errors(page)
    page.goto(url)
    yield page
    page.close()
    assert errors == []


def collect_errors(page: Page) -> list[str]:
    """Return a list that fills with what fails on the page: scripts, and what its policy forbids."""
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    return errors
