"""The curl commands of the documents, run as they stand against the shipped model."""

import re
import shutil
import subprocess
import sys
import zipfile
from base64 import b64encode
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import orjson
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.end_to_end.server import ROOT, Server, serving

API = ROOT / "docs" / "api.md"
PAGES = (ROOT / "README.md", API, ROOT / "docs" / "mi-maps.md")
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
HOST = "localhost:8000"
PHOTO_SIZE = (640, 480)
OLDEST_CURL = (7, 87)  # --url-query


def commands(page: Path) -> list[str]:
    """The curl commands of a page, each as one line."""
    blocks = (block.replace("\\\n", " ") for block in BLOCK.findall(page.read_text()))
    return [line for block in blocks for line in block.splitlines() if re.search(rf"\bcurl\b.*{HOST}", line)]


def curl_version() -> tuple[int, ...]:
    curl = shutil.which("curl")
    if curl is None:
        return (0,)
    told = subprocess.run([curl, "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(int(part) for part in told.split()[1].split(".")[:2])


@pytest.fixture(scope="module")
def server(module_index: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("examples")
    settings = {"model": "photos", "workers": 1, "database_url": module_index, "index_regions": True}
    with serving(ROOT / "models", folder, **settings) as running:
        yield running


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the examples name."""
    folder = tmp_path_factory.mktemp("desk")
    rows = pq.read_table(ROOT / "tests" / "data" / "sample_test.parquet").to_pylist()
    images = [photo_of(row["img"]["bytes"]) for row in rows]
    for name, data in zip(("image", "a", "b"), images, strict=False):
        (folder / f"{name}.jpg").write_bytes(data)
    (folder / "photos" / "cats").mkdir(parents=True)
    for number, data in enumerate(images[:4]):
        (folder / "photos" / "cats" / f"{number}.jpg").write_bytes(data)
    (folder / "photos" / "broken.jpg").write_bytes(b"not an image")
    with zipfile.ZipFile(folder / "photos.zip", "w") as archive:
        archive.write(folder / "image.jpg", "image.jpg")
    line = {"id": "cats/1.jpg", "image": b64encode(images[1]).decode(), "metadata": {"label": "cat"}}
    (folder / "items.ndjson").write_bytes(orjson.dumps(line) + b"\n")
    return folder


def photo_of(encoded: bytes) -> bytes:
    """Enlarge an image to the size of a photograph: examples name regions of one."""
    file = BytesIO()
    Image.open(BytesIO(encoded)).convert("RGB").resize(PHOTO_SIZE).save(file, "JPEG")
    return file.getvalue()


def run(command: str, server: Server, folder: Path) -> subprocess.CompletedProcess[bytes]:
    address = server.url.removeprefix("http://")
    script = re.sub(
        r"\bcurl\b", "curl --silent --show-error --fail-with-body --max-time 60", command, count=1
    )
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", script.replace(HOST, address)],
        cwd=folder,
        capture_output=True,
        check=False,
    )


@pytest.mark.skipif(curl_version() < OLDEST_CURL, reason="no curl of 7.87 or newer on this machine")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_curl_command_of_a_page_is_answered(page: Path, server: Server, desk: Path) -> None:
    # Some pages search for an item before they store one.
    run(
        f"curl --data-binary @items.ndjson -H 'Content-Type: application/x-ndjson' {HOST}/v1/items",
        server,
        desk,
    )
    examples = commands(page)
    assert examples
    for example in examples:
        answer = run(example, server, desk)
        assert answer.returncode == 0, f"{example}\n{answer.stdout[:500]!r}\n{answer.stderr[:500]!r}"
    if page == API:
        assert read_tensors(desk) == "(1, 512) (1, 14, 14)\n"


def read_tensors(folder: Path) -> str:
    """Read what curl has saved of the inference protocol as the page says."""
    blocks = re.findall(r"^```python\n(.*?)^```", API.read_text(), re.MULTILINE | re.DOTALL)
    (block,) = [one for one in blocks if 'Path("tensors")' in one]
    command = [sys.executable, "-W", "error", "-c", block]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
