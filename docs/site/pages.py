"""Pages of the site that are not files under `docs/`."""

import posixpath
import re
from collections.abc import Mapping
from pathlib import Path

from docs.site import notebook, python_reference, rest_reference

# Files of the repository, by the page that they become.
OUTSIDE: Mapping[str, str] = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "LICENSE": "LICENSE.txt",
}
_LINK = re.compile(r"(?<=\]\()([^)\s#]+)(?=[#)])")
_ELSEWHERE = ("http://", "https://", "mailto:")


def generated(root: Path) -> dict[str, str]:
    """Make the text of each page, by its path below `docs/`."""
    found = {page: relinked((root / path).read_text()) for path, page in OUTSIDE.items()}
    return found | {
        "reference/rest.md": rest_reference.page(),
        "reference/python.md": python_reference.page(),
        "notebooks/tour.md": notebook.page(root / "docs" / "notebooks" / "tour.ipynb"),
    }


def relinked(text: str) -> str:
    """Turn links of a file at the root of the repository into links of a page at the root of the site."""

    def link(found: re.Match[str]) -> str:
        if found[1].startswith(_ELSEWHERE):
            return found[1]
        path = posixpath.normpath(found[1])
        # A notebook is a page too.
        return OUTSIDE.get(path, re.sub(r"\.ipynb$", ".md", path.removeprefix("docs/")))

    return _LINK.sub(link, text)
