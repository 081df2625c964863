"""`infomax validate-maps` as its users run it."""

import json
import shutil
from pathlib import Path

import pytest

from contract.artefact import open_artefact
from contract.map_kinds import MapKind
from tests.pictures import photo
from tests.tiny_int8 import build_tiny_int8
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


def test_figures_are_stated_in_the_card_and_the_graphs_stay(
    infomax: Infomax, pictures: Path, tmp_path: Path
) -> None:
    folder = build_tiny_int8(tmp_path / "models")
    graphs = {path: path.read_bytes() for path in folder.glob("*.onnx")}
    assert len(graphs) == 3
    exported = open_artefact(folder).card
    written = tmp_path / "maps.json"
    for precision in ("fp32", "int8"):
        answer = infomax(
            "validate-maps",
            *("--model", folder, "--test", pictures, "--images", 8, "--pairs", 20, "--precision", precision),
            *("--test-name", "noise with edges", "--write", "--json", written),
        )
        assert answer.status == 0, answer.err
        assert f"{folder / 'card.json'} states these figures." in answer.out
        found = json.loads(written.read_text())
        card = open_artefact(folder).card
        measure = card.measure_of(MapKind.CONTRIBUTION, "int8")
        assert measure is not None
        assert measure.attribution is not None
        # By int8, the figures of fp32 are shown until it has its own.
        assert (measure.precision, measure.split) == (precision, "noise with edges")
        assert measure.attribution.model_dump(mode="json") == found["attribution"][0]
        cross = card.measure_of(MapKind.INFORMATION, "fp32")
        assert cross is not None
        assert cross.precision == "fp32"
    contrast = card.measure_of(MapKind.CONTRAST, "int8")
    assert contrast is not None
    assert contrast.picks_half == found["halves"]["contrast"]
    assert card.attribution is not None
    assert {one.method for one in card.attribution.methods} == {
        *("contribution", "information", "centre prior", "random, smoothed", "occlusion")
    }
    assert card.as_exported == exported
    assert graphs == {path: path.read_bytes() for path in folder.glob("*.onnx")}
    assert "## What its maps are worth" in (folder / "README.md").read_text()


def test_maps_of_a_precision_that_is_not_there_are_a_sentence(
    infomax: Infomax, tiny_models: Path, pictures: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_models / "tiny" / "1", tmp_path / "tiny" / "1")
    answer = infomax("validate-maps", "--model", folder, "--test", pictures, "--precision", "int8")
    assert "tiny/1 has no int8 encoder. Measure its maps with --precision fp32." in answer.sentence


def test_too_few_images_are_a_sentence(infomax: Infomax, tiny_models: Path, tmp_path: Path) -> None:
    for seed in range(5):
        (tmp_path / f"{seed}.jpg").write_bytes(photo(seed))
    answer = infomax("validate-maps", "--model", tiny_models / "tiny" / "1", "--test", tmp_path)
    assert "5 images are too few" in answer.sentence
