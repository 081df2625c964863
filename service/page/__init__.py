"""The page: plain HTML, CSS and JavaScript over the public API alone.

No template and no build: what lies here is sent as it is.
"""

from pathlib import Path

FOLDER = Path(__file__).parent
EXAMPLES = tuple(sorted(path.name for path in FOLDER.glob("example-*.jpg")))
FILES = ("api.js", "map.js", "page.css", "page.js", "samples.ndjson", *EXAMPLES)
"""Files that `index.html` loads."""
