"""The page's photographs: an example of each kind of clothing to click, and the sample index.

make samples DATA="test.parquet validation.parquet"   # images under `image`, their class in the path

They are from clothing-dataset-small (github.com/alexeygrigorev/clothing-dataset-small, CC0), from the splits
that no shipped model was trained on. Of each class the first photograph is an example, and the next 15 are
samples, so no example finds itself. A line of `samples.ndjson` is what `POST /v1/items` takes.
"""

import base64
import io
from collections import Counter
from pathlib import Path

import orjson
import pyarrow.parquet as pq
import typer
from PIL import Image

PAGE = Path(__file__).parents[1] / "service" / "page"
SAMPLES = PAGE / "samples.ndjson"
PREFIX = "infomax-samples/"
"""Beginning of the samples' ids, which the page removes by it. `service/page/samples.js` has the same."""
_EACH = 15
_SAMPLE_SIDE, _EXAMPLE_SIDE = 144, 192
_QUALITY = 75


def main(data: list[Path]) -> None:
    """Write examples and samples, in the files' order."""
    taken: Counter[str] = Counter()
    lines = []
    images = [one for file in data for one in pq.read_table(file).column("image").to_pylist()]
    for image in images:
        if image is None:
            continue
        label, _, name = image["path"].rpartition("/")
        taken[label] += 1
        if taken[label] == 1:
            (PAGE / f"example-{label}.jpg").write_bytes(_small(image["bytes"], _EXAMPLE_SIDE))
        elif taken[label] <= 1 + _EACH:
            text = base64.b64encode(_small(image["bytes"], _SAMPLE_SIDE)).decode()
            short = name.partition("-")[0]
            lines.append({"id": f"{PREFIX}{label}/{short}", "image": text, "metadata": {"label": label}})
    SAMPLES.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))


def _small(data: bytes, side: int) -> bytes:
    """Encode an image anew as JPEG, its shorter side of at most `side` pixels, without metadata."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    scale = min(1.0, side / min(image.size))
    smaller = image.resize(
        (round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS
    )
    encoded = io.BytesIO()
    smaller.save(encoded, "JPEG", quality=_QUALITY, optimize=True)
    return encoded.getvalue()


if __name__ == "__main__":
    typer.run(main)
