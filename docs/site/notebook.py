"""The notebook as a page: its cells, and the outputs that it keeps."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def page(path: Path) -> str:
    """Write a notebook as Markdown."""
    cells = json.loads(path.read_text())["cells"]
    return "\n\n".join(block for cell in cells for block in _blocks(cell)) + "\n"


def _blocks(cell: dict[str, Any]) -> Iterator[str]:
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        yield source
        return
    yield f"```python\n{source}\n```"
    for output in cell["outputs"]:
        if "text" in output:
            yield f"```text\n{''.join(output['text']).rstrip()}\n```"
        picture = output.get("data", {}).get("image/png")
        if picture is not None:
            # As HTML: a data URI is not a link that could be checked.
            data = "".join(picture).strip()
            yield f'<img alt="output of the cell above" src="data:image/png;base64,{data}">'
