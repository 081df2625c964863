"""`infomax validate-neighbours` as its users run it."""

from pathlib import Path

import pytest

from contract.artefact import open_artefact
from tests.pictures import photo
from tests.tiny_model import build_tiny_model
from tests.training.command import Infomax


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for seed in range(20):
        path = folder / "ab"[seed % 2] / f"{seed}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(photo(seed))
    return folder


def test_figures_are_printed_and_stated_in_the_card_and_the_graphs_stay(
    infomax: Infomax, pictures: Path, tmp_path: Path
) -> None:
    folder = build_tiny_model(tmp_path / "models")
    graphs = {path: path.read_bytes() for path in folder.glob("*.onnx")}
    exported = open_artefact(folder).card
    asked = ("validate-neighbours", "--model", folder, "--test", pictures, "--neighbours", 5)
    answer = infomax(*asked)
    assert answer.status == 0, answer.err
    assert open_artefact(folder).card == exported
    answer = infomax(*asked, "--test-name", "twenty pictures", "--write")
    assert answer.status == 0, answer.err
    card = open_artefact(folder).card
    assert card.neighbours is not None
    assert (card.neighbours.images, card.neighbours.neighbours) == (20, 5)
    assert answer.out.splitlines()[1].startswith(f"{card.neighbours.cosine:.3f}\t")
    assert card.as_exported == exported
    assert graphs == {path: path.read_bytes() for path in folder.glob("*.onnx")}
    assert "(twenty pictures)" in (folder / "README.md").read_text()


def test_images_without_labels_are_a_sentence(infomax: Infomax, tiny_models: Path, tmp_path: Path) -> None:
    for seed in range(3):
        (tmp_path / f"{seed}.jpg").write_bytes(photo(seed))
    answer = infomax("validate-neighbours", "--model", tiny_models / "tiny" / "1", "--test", tmp_path)
    assert "have no labels. Put them into one sub-folder for each class." in answer.sentence
