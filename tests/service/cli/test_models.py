"""`infomax models`, as it is typed."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from contract.card import CARD_FILE, ModelCard
from contract.errors import ArtefactError, InfomaxError
from service.cli.models import models

SCORES = [
    {"layer": "conv", "dimensions": 20, "probe": "linear", "k": None, "accuracy": 0.75},
    {"layer": "Y", "dimensions": 12, "probe": "linear", "k": None, "accuracy": 0.5},
    {"layer": "Y", "dimensions": 12, "probe": "knn", "k": 20, "accuracy": 0.9},
    {"layer": "embedding", "dimensions": 20, "probe": "knn", "k": 20, "accuracy": 0.64},
]


def put(tiny_models: Path, folder: Path, version: int, **quality: Any) -> None:
    """Copy the tiny model under another version, with other quality in its card."""
    target = folder / "tiny" / str(version)
    shutil.copytree(tiny_models / "tiny" / "1", target)
    card = json.loads((target / CARD_FILE).read_text()) | {"version": version, "licence": "CC0-1.0"}
    card["quality"] = {"split": "test", "images": 10_000, "majority": 0.1, "scores": SCORES} | quality
    (target / CARD_FILE).write_text(json.dumps(card))


@pytest.fixture
def folder(tiny_models: Path, tmp_path: Path) -> Path:
    put(tiny_models, tmp_path, 9)
    put(tiny_models, tmp_path, 10, scores=[{**SCORES[3], "accuracy": 0.8}])
    return tmp_path


def run(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(models, [*arguments, "--models-dir", str(folder)])


def lines(result: Result) -> list[list[str]]:
    assert result.exit_code == 0, result.output
    return [line.split("\t") for line in result.stdout.splitlines()]


def test_a_list_holds_every_version_in_order_with_what_chooses_between_them(folder: Path) -> None:
    head, first, second = lines(run(folder, "list"))
    assert head[:2] == ["name", "version"]
    shown = dict(zip(head, first, strict=True))
    assert (shown["name"], shown["version"], shown["input"]) == ("tiny", "9", "32 x 32")
    # By the embedding, which neighbours are found by, and by the best layer.
    assert (shown["kNN accuracy"], shown["linear accuracy"]) == ("64.0 %", "75.0 % (conv)")
    assert (shown["measured on"], shown["licence"]) == ("10,000 images", "CC0-1.0")
    # As numbers: 10 comes after 9.
    assert second[1] == "10"
    assert second[head.index("linear accuracy")] == ""


def test_the_size_is_that_of_the_graphs(folder: Path) -> None:
    (first, _) = json.loads(run(folder, "list", "--json").stdout)
    assert first["bytes"] == sum(path.stat().st_size for path in (folder / "tiny" / "9").glob("*.onnx"))


def test_an_invalid_card_is_named_and_hides_no_other_model(folder: Path) -> None:
    (folder / "tiny" / "9" / CARD_FILE).write_text("{}")
    result = run(folder, "list")
    assert result.exit_code == 1
    assert [line.split("\t")[1] for line in result.stdout.splitlines()] == ["version", "10"]
    assert "tiny/9/card.json is no valid model card" in result.stderr


def test_a_missing_graph_is_named(folder: Path) -> None:
    (folder / "tiny" / "9" / "encoder.onnx").unlink()
    assert "has no encoder.onnx" in run(folder, "list").stderr


def test_a_folder_without_models_says_how_to_name_another(tmp_path: Path) -> None:
    result = run(tmp_path, "list")
    assert isinstance(result.exception, InfomaxError)
    assert "--models-dir" in str(result.exception)


def test_a_card_is_that_of_the_newest_version_unless_one_is_named(folder: Path) -> None:
    assert lines(run(folder, "card", "tiny"))[0] == ["what", "tiny/10"]
    assert lines(run(folder, "card", "tiny/9"))[0] == ["what", "tiny/9"]
    whole = ModelCard.model_validate_json(run(folder, "card", "tiny/9", "--json").stdout)
    assert whole.id == "tiny/9"
    assert isinstance(run(folder, "card", "large").exception, ArtefactError)


def test_a_card_shows_its_limits(folder: Path) -> None:
    limits = json.loads((folder / "tiny" / "9" / CARD_FILE).read_text())["limits"]
    output = run(folder, "card", "tiny/9").stdout
    assert limits
    assert all(f"Limit: {limit}" in output for limit in limits)


def test_a_comparison_subtracts_the_first_from_the_second(folder: Path) -> None:
    shown = {line[0]: line[1:] for line in lines(run(folder, "compare", "tiny/9", "tiny/10"))}
    assert shown["what"] == ["tiny/9", "tiny/10", "difference"]
    assert shown["kNN accuracy"] == ["64.0 %", "80.0 %", "+16.0 points"]
    assert shown["linear accuracy"] == ["75.0 % (conv)", "", ""]
    # sqrt(0.64 · 0.36 / 10,000 + 0.8 · 0.2 / 10,000) is 0.63 points.
    (note,) = (line for line in shown if line.startswith("Same"))
    assert note.endswith("at most 0.6 points.")


def test_accuracies_on_different_images_are_not_subtracted(tiny_models: Path, folder: Path) -> None:
    put(tiny_models, folder, 11, split="other")
    found = json.loads(run(folder, "compare", "tiny/9", "tiny/11", "--json").stdout)
    assert "kNN accuracy" not in found["differences"]
    assert found["differences"]["size"] == 0
    assert found["note"].startswith("Measured on different images")


def test_a_card_without_labels_says_so(tiny_models: Path, folder: Path) -> None:
    put(tiny_models, folder, 11, majority=None, scores=[])
    shown = {line[0]: line[1:] for line in lines(run(folder, "compare", "tiny/9", "tiny/11"))}
    assert shown["measured on"][:2] == ["10,000 images", "no labels"]
    assert "A card states no kNN accuracy. Run infomax probe on both models." in shown
