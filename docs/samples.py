"""The sample images of the page: 30 of each class of CIFAR-10, from the split that no model was trained on.

make samples DATA=test.parquet     # a Parquet file with images under `img` and their class in the path

A line is what `POST /v1/items` takes: an id, the image in base64, and its class as metadata.
"""

import base64
from collections import Counter
from pathlib import Path

import orjson
import pyarrow.parquet as pq
import typer

SAMPLES = Path(__file__).parents[1] / "service" / "page" / "samples.ndjson"
_EACH = 30


def main(data: Path) -> None:
    """Write the first images of each class in the file's order."""
    taken: Counter[str] = Counter()
    lines = []
    for image in pq.read_table(data, columns=["img"]).column("img").to_pylist():
        if image is None:
            continue
        label = Path(image["path"]).parent.name
        taken[label] += 1
        if taken[label] <= _EACH:
            text = base64.b64encode(image["bytes"]).decode()
            lines.append({"id": f"samples/{image['path']}", "image": text, "metadata": {"label": label}})
    SAMPLES.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))


if __name__ == "__main__":
    typer.run(main)
