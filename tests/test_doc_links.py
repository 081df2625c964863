"""Links of the documents lead somewhere, and the files that they name exist."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.test_floors import FLOORS

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
ARCHITECTURE = ROOT / "docs" / "architecture.md"
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")
DOCUMENT = re.compile(r"\bdocs/(?:[\w./-]+\.md\b|decisions/\d{3})")
TOP = ("infomax", "service", "training", "contract", "tests", "bench", "ops", "docs")
# A file below one of the folders of this repository; placeholders and patterns are something else.
FILE = re.compile(rf"^(?:{'|'.join(TOP)})/[\w./-]+\.(?:py|toml|yml|json|md|html|js|css|png)$")


def anchors(page: Path) -> set[str]:
    """The names of a page's headings, as GitHub makes them."""
    headings = HEADING.findall(FENCE.sub("", page.read_text()))
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    broken = []
    for link in LINK.findall(FENCE.sub("", page.read_text())):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text()
    named = {found for code in CODE.findall(text) for found in code.split() if FILE.match(found)}
    # Diagrams name files too.
    fences = "\n".join(FENCE.findall(text))
    named |= {found.strip("()[],:;") for found in fences.split() if FILE.match(found.strip("()[],:;"))}
    assert sorted(found for found in named if not (ROOT / found).exists()) == []


def test_every_document_that_the_code_names_exists() -> None:
    """A decision may be named by its number alone, `docs/decisions/` and three digits."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = [
        ROOT / line for line in listed.splitlines() if line.endswith((".py", ".toml", ".yml", "Makefile"))
    ]
    named = {
        (name(file), found) for file in files if file.exists() for found in DOCUMENT.findall(file.read_text())
    }
    assert sorted(pair for pair in named if not list(ROOT.glob(f"{pair[1]}*"))) == []


def test_every_decision_has_a_number_of_its_own_and_is_listed() -> None:
    folder = ROOT / "docs" / "decisions"
    numbered = sorted(page.name for page in folder.glob("*.md") if page.name != "README.md")
    assert all(re.match(r"\d{3}-[a-z0-9-]+\.md$", page) for page in numbered)
    assert len({page[:3] for page in numbered}) == len(numbered)
    assert (
        sorted(re.findall(r"^\| \[\d{3}\]\(([^)]+)\)", (folder / "README.md").read_text(), re.MULTILINE))
        == numbered
    )


def test_every_file_in_the_diagrams_of_architecture_exists() -> None:
    """Diagrams name files from the repository or, for short, from one of the two programs."""
    bases = (ROOT, ROOT / "service", ROOT / "training")
    diagrams = "\n".join(FENCE.findall(ARCHITECTURE.read_text()))
    named = set(re.findall(r"[\w/]+\.py\b", diagrams))
    assert named
    assert sorted(found for found in named if not any((base / found).exists() for base in bases)) == []


@pytest.mark.parametrize("package", FLOORS)
def test_architecture_draws_the_floors_of_the_code(package: str) -> None:
    text = ARCHITECTURE.read_text()
    start, end = f"<!-- floors of {package}: ", f"<!-- end of floors of {package} -->"
    diagram = FENCE.search(text.split(start)[1].split(end)[0])
    assert diagram is not None
    drawn = [tuple(sorted(line.split("  ")[0].split(" · "))) for line in diagram[0].splitlines()[1:-1]]
    assert drawn == [tuple(sorted(floor)) for floor in reversed(FLOORS[package])]
