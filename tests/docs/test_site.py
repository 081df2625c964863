"""The site: built without a warning, with the generated pages, and without anything from elsewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs.site import mathml, pages
from docs.site.rest_reference import document, page

ROOT = Path(__file__).parents[2]
# What a browser would load, and not only link to.
LOADED = re.compile(r"<(?:script|img|link|iframe|source)\b[^>]*?\b(?:src|href)=\"?(?:https?:)?//[^\s\">]+")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("material", reason="the extra docs is not installed")
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(folder)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    # Warnings end a strict build.
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


def test_every_page_of_the_documents_is_a_page_of_the_site(site: Path) -> None:
    written = {path.relative_to(ROOT / "docs").with_suffix("") for path in (ROOT / "docs").rglob("*.md")}
    built = {path.relative_to(site).with_suffix("") for path in site.rglob("*.html")}
    named = {path.with_name("index") if path.name == "README" else path for path in written}
    assert named - built == set()
    assert {Path("index"), Path("contributing"), Path("changelog")} <= built


def test_every_page_is_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text().split("\nnav:\n")[1]
    pages = {path.name for path in (ROOT / "docs").glob("*.md")}
    assert pages - set(re.findall(r": (\S+\.md)$", text, re.MULTILINE)) == set()


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    # The canonical address and feeds are links.
    found = {
        (path.name, tag)
        for path in site.rglob("*.html")
        for tag in LOADED.findall(path.read_text())
        if 'rel="canonical"' not in tag
    }
    assert found == set()


def test_formulas_are_mathml(site: Path) -> None:
    text = (site / "mathematics.html").read_text()
    assert text.count("<math ") > 10
    assert "arithmatex" not in text
    assert "$$" not in text


def test_the_client_is_described_by_its_docstrings(site: Path) -> None:
    text = (site / "reference" / "python.html").read_text()
    assert 'id="infomax.client.Client.batch"' in text
    assert "Yield one result, or named failure, for each of any number of images, in order." in text


def test_the_rest_reference_holds_every_operation_and_parameter() -> None:
    text = page()
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            section = text.split(f"### `{method.upper()} {path}`\n")[1].split("\n### ")[0]
            for parameter in operation.get("parameters", ()):
                assert f"| `{parameter['name']}`" in section


def test_links_of_pages_from_outside_are_those_of_the_site() -> None:
    text = (
        "[a](docs/api.md#routes) [b](CONTRIBUTING.md) [c](https://example.org/docs) ![d](docs/images/a.png)"
    )
    assert pages.relinked(text) == (
        "[a](api.md#routes) [b](contributing.md) [c](https://example.org/docs) ![d](images/a.png)"
    )


def test_a_formula_keeps_its_less_than() -> None:
    assert "<mo>&#x0003C;</mo>" in mathml.rendered(r'<span class="arithmatex">\(a &lt; b\)</span>')
