"""A good model folder opens; each way to spoil one is refused with the rule that it breaks."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import orjson
import pytest

from contract.artefact import open_artefact
from contract.card import CARD_FILE, CRITIC_FILE, ENCODER_FILE, METADATA_KEY
from contract.errors import ArtefactError
from tests.measured_maps import state_measures


@pytest.fixture
def folder(tiny_models: Path, tmp_path: Path) -> Path:
    """A copy of a good model folder, to be spoilt."""
    copy: Path = shutil.copytree(tiny_models / "tiny" / "1", tmp_path / "tiny" / "1")
    return copy


def change_card(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    card = orjson.loads((folder / CARD_FILE).read_bytes())
    change(card)
    (folder / CARD_FILE).write_bytes(orjson.dumps(card))


def test_a_good_folder_opens_and_names_its_model(folder: Path) -> None:
    artefact = open_artefact(folder)
    assert artefact.card.id == "tiny/1"
    assert artefact.encoder.is_file()
    assert artefact.critic.is_file()


def test_both_graphs_carry_the_card(folder: Path) -> None:
    for name in (ENCODER_FILE, CRITIC_FILE):
        metadata = {item.key: item.value for item in onnx.load(folder / name).metadata_props}
        assert metadata[METADATA_KEY] == (folder / CARD_FILE).read_text()


@pytest.mark.parametrize("name", [CARD_FILE, ENCODER_FILE, CRITIC_FILE])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ArtefactError, match=name):
        open_artefact(folder)


def test_a_folder_of_another_name_is_refused(folder: Path) -> None:
    other = folder.rename(folder.parent / "2")
    with pytest.raises(ArtefactError, match=r"name the folder .*tiny/1"):
        open_artefact(other)


def test_changed_weights_are_noticed(folder: Path) -> None:
    model = onnx.load(folder / ENCODER_FILE)
    weights = model.graph.initializer[2]
    weights.raw_data = weights.raw_data[:-1] + bytes([weights.raw_data[-1] ^ 1])
    onnx.save(model, folder / ENCODER_FILE)
    with pytest.raises(ArtefactError, match="changed after export"):
        open_artefact(folder)


def test_a_changed_graph_is_noticed(folder: Path) -> None:
    model = onnx.load(folder / CRITIC_FILE)
    model.graph.node[-1].op_type = "Add"
    onnx.save(model, folder / CRITIC_FILE)
    with pytest.raises(ArtefactError, match=r"critic\.onnx.*changed after export"):
        open_artefact(folder)


def test_a_card_that_is_not_the_graphs_own_is_refused(folder: Path) -> None:
    change_card(folder, lambda card: card.update(licence="MIT"))
    with pytest.raises(ArtefactError, match="carries another card"):
        open_artefact(folder)


def test_measures_of_the_maps_are_the_card_s_own(folder: Path) -> None:
    before = open_artefact(folder).card
    state_measures(folder)
    card = open_artefact(folder).card
    assert card.attribution is not None
    assert card.as_exported == before
    change_card(folder, lambda card: card.update(licence="MIT"))
    with pytest.raises(ArtefactError, match="carries another card"):
        open_artefact(folder)


def test_weights_outside_of_the_file_are_refused(folder: Path) -> None:
    model = onnx.load(folder / ENCODER_FILE)
    onnx.save(
        model, folder / ENCODER_FILE, save_as_external_data=True, location="weights.bin", size_threshold=0
    )
    with pytest.raises(ArtefactError, match="weights outside"):
        open_artefact(folder)


def test_a_file_that_is_no_onnx_is_refused(folder: Path) -> None:
    (folder / ENCODER_FILE).write_bytes(b"\xff" * 100)
    with pytest.raises(ArtefactError, match="no readable ONNX file"):
        open_artefact(folder)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda card: card.pop("calibration"), "calibration"),
        (lambda card: card.update(colour="blue"), "colour"),
        (lambda card: card.update(name="Tiny Model"), "name"),
        (lambda card: card.update(version=0), "version"),
        (lambda card: card.update(preprocessing_sha256="0" * 64), "preprocessing_sha256"),
        (lambda card: card["preprocessing"].update(resize_filter="lanczos"), "resize_filter"),
        (lambda card: card["golden"]["embedding"].pop(), "golden"),
        (lambda card: card["golden"]["mi_map"].pop(), "patch grid"),
        (lambda card: card["weights"][0].update(file="other.onnx"), "weights"),
        (lambda card: card["calibration"].update(joint_auc=1.5), "joint_auc"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_card_that_breaks_a_rule_is_refused_by_its_name(
    folder: Path, change: Callable[[dict[str, Any]], object], rule: str
) -> None:
    change_card(folder, change)
    with pytest.raises(ArtefactError, match=rule):
        open_artefact(folder)


def test_text_that_is_no_json_is_refused(folder: Path) -> None:
    (folder / CARD_FILE).write_text("{")
    with pytest.raises(ArtefactError, match="no valid model card"):
        open_artefact(folder)
