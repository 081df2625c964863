"""The tutorial: the blocks that need no training run here, all of them by `make test-tutorial`."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.tutorial import BLOCK, PAGE, script


def test_every_block_is_run_or_is_output() -> None:
    text = PAGE.read_text()
    languages = {line.removeprefix("```") for line in text.splitlines() if line.startswith("```")}
    assert languages == {"", "sh", "python"}
    written = script(8001, None)
    for _, block in BLOCK.findall(text):
        assert block.replace("localhost:8000", "localhost:8001") in written


def test_the_script_is_one_that_bash_reads() -> None:
    subprocess.run(["bash", "-n"], input=script(8001, 2), text=True, check=True)
    assert "infomax train --epochs 2 --recipe" in script(8001, 2)


@pytest.mark.parametrize(("part", "images"), [("train", 120), ("test", 30)])
def test_the_folder_of_photographs_is_as_the_page_says(tmp_path: Path, part: str, images: int) -> None:
    block = next(text for language, text in BLOCK.findall(PAGE.read_text()) if language == "python")
    subprocess.run([sys.executable, "-c", block], cwd=tmp_path, check=True)
    assert len(list((tmp_path / "photos" / part).rglob("*.jpg"))) == images
    assert len(list((tmp_path / "photos" / part).iterdir())) == 10
