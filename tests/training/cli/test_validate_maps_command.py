"""`infomax validate-maps` as its users run it."""

import json
from pathlib import Path

import pytest

from tests.pictures import photo
from tests.training.command import Infomax


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for seed in range(26):
        (folder / f"{seed}.jpg").write_bytes(photo(seed))
    return folder


def test_every_bar_is_printed_and_written(
    infomax: Infomax, tiny_models: Path, pictures: Path, tmp_path: Path
) -> None:
    written, tables = tmp_path / "maps.json", tmp_path / "maps.md"
    answer = infomax(
        "validate-maps",
        *("--model", tiny_models / "tiny" / "1", "--test", pictures, "--images", 8, "--pairs", 20),
        *("--json", written, "--markdown", tables),
    )
    assert answer.status == 0, answer.err
    found = json.loads(written.read_text())
    assert found["model"] == "tiny/1"
    assert len(found["bars"]) == 9
    for bar in found["bars"]:
        (line,) = (line for line in answer.out.splitlines() if line.startswith(f"{bar['name']}\t"))
        # A bar that is missed is told, and is no failure of the command.
        assert line.endswith("\tyes" if bar["value"] >= bar["bar"] else "\tno")
        assert f"| {bar['name']} |" in tables.read_text()


def test_too_few_images_are_a_sentence(infomax: Infomax, tiny_models: Path, tmp_path: Path) -> None:
    for seed in range(5):
        (tmp_path / f"{seed}.jpg").write_bytes(photo(seed))
    answer = infomax("validate-maps", "--model", tiny_models / "tiny" / "1", "--test", tmp_path)
    assert "5 images are too few" in answer.sentence
