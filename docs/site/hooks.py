"""Hooks of MkDocs: generated pages, links of pages from outside `docs/`, formulas as MathML.

MkDocs loads this file by its path, and calls what it finds by name.
"""

import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from mkdocs.structure.files import File, Files  # noqa: E402

from docs.site import mathml, pages  # noqa: E402 (the path above)


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are not files under `docs/`."""
    for path, text in pages.generated(ROOT).items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_content(html: str, **_: Any) -> str:
    """Write formulas as MathML, which browsers show without a script."""
    return mathml.rendered(html)
