"""The Python blocks of the client's page and of the README, run in order against the shipped model."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infomax.client import Client
from tests.end_to_end.server import ROOT, Server, serving
from tests.end_to_end.test_examples import HOST, desk
from tests.training.command import EXECUTABLE

__all__ = ["desk"]

BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
EMBED = ROOT / "docs" / "embed.md"
PAGES = (ROOT / "README.md", ROOT / "docs" / "python.md")


@pytest.fixture(scope="module")
def server(module_index: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("examples")
    with serving(ROOT / "models", folder, model="photos", workers=1, database_url=module_index) as running:
        yield running


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_blocks_run_as_they_stand(page: Path, server: Server, desk: Path) -> None:
    blocks = [
        block
        for block in BLOCK.findall(page.read_text())
        if "infomax.client" in block or page.stem == "python"
    ]
    assert blocks
    script = "\n".join(blocks).replace(HOST, server.url.removeprefix("http://"))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], cwd=desk, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "photos/cats/0.jpg" in done.stdout
    # The image that the folder holds beside them is broken.
    assert "photos/broken.jpg" in done.stdout


def test_the_shards_of_a_corpus_go_into_the_index(server: Server, desk: Path) -> None:
    (block,) = [one for one in BLOCK.findall(EMBED.read_text()) if "infomax.client" in one]
    environment = {**os.environ, "INFOMAX_MODELS_DIR": str(ROOT / "models"), "INFOMAX_MODEL": "photos"}
    command = [EXECUTABLE, "embed", "photos", "--out", "vectors"]
    subprocess.run(command, cwd=desk, env=environment, capture_output=True, check=True)
    script = block.replace(HOST, server.url.removeprefix("http://"))
    subprocess.run([sys.executable, "-W", "error", "-c", script], cwd=desk, check=True)
    with Client(server.url) as client:
        assert client.get_item("cats/0.jpg").metadata == {"label": "cats"}
        (nearest,) = client.neighbours(desk / "photos" / "cats" / "0.jpg", k=1, filter={"label": "cats"})
    assert nearest.id == "cats/0.jpg"
    assert nearest.score == pytest.approx(1, abs=1e-5)
