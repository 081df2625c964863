"""The page: plain HTML, CSS and JavaScript over the public API alone.

No template and no build: what lies here is sent as it is.
"""

from pathlib import Path

FOLDER = Path(__file__).parent
_SENT = (".css", ".jpg", ".js", ".ndjson")
FILES = tuple(sorted(path.name for path in FOLDER.iterdir() if path.suffix in _SENT))
"""Files that `index.html` and its modules load."""
