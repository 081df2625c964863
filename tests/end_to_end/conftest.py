"""Fixtures of the tests of the page."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.end_to_end.browser import chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser that the tests of a module share."""
    with chromium() as browser:
        yield browser
