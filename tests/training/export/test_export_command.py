"""Export: what was trained is what is served, its figures are measured, and half a model is never seen."""

import base64
import tomllib
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image
from torch import Tensor

from contract.artefact import open_artefact
from contract.images import decode
from service.inference.model import open_model
from service.settings import Settings
from tests.training.command import Answer, Infomax
from training.data import ImageSet
from training.errors import DataError, ExportError, TrainingError
from training.export import model_folder
from training.export import version as export_module
from training.export.embedding_graph import embedded
from training.export.graphs import EncoderGraph
from training.export.model_card import Release
from training.export.onnx_files import convert
from training.export.version import export
from training.loop.trained import TrainedEncoder, load_run
from training.recipe import Recipe

RELEASE = Release("sample", 1, "none", "For tests.", ("None.",), "some images", "other images")


@pytest.fixture
def trained(finished_run: Path) -> TrainedEncoder:
    return load_run(finished_run)


def test_the_service_serves_it(exported_model: Path) -> None:
    model = open_model(Settings(models_dir=exported_model.parents[1], model="sample", device="cpu"))
    model.self_test()
    model.self_test(8)


def test_the_graph_computes_what_the_run_learned(
    exported_model: Path, trained: TrainedEncoder, training: ImageSet, held_out: ImageSet
) -> None:
    session = onnxruntime.InferenceSession(
        exported_model / "encoder.onnx", providers=["CPUExecutionProvider"]
    )
    fitted, _ = trained.split(training)
    graph = embedded(trained.encoder, "fc", fitted, trained.recipe.seed)
    for count in (1, 33, 100):
        pixels = held_out.pixels[:count]
        with torch.no_grad():
            expected = dict(zip(graph.OUTPUTS, graph(torch.from_numpy(pixels)), strict=True))
        names = list(expected)
        for name, values in zip(names, session.run(names, {"image": pixels}), strict=True):
            assert np.abs(values - expected[name].numpy()).max() < 1e-4, name


def test_the_card_says_what_was_done(
    exported_model: Path, trained: TrainedEncoder, training: ImageSet, held_out: ImageSet
) -> None:
    card = open_artefact(exported_model).card
    assert (card.training.images, card.training.epochs, card.training.seed) == (300, 2, 0)
    assert Recipe.model_validate(tomllib.loads(card.training.recipe_toml)) == trained.recipe
    assert card.training.torch == torch.__version__
    assert "core" in card.training.hardware
    assert card.limits == ("It has learned next to nothing.",)
    assert card.calibration.images == card.quality.images == len(held_out)
    assert card.calibration.bank == 270 // 4
    assert card.calibration.temperature is not None
    assert card.calibration.offset_nats is not None
    assert card.quality.majority == pytest.approx(0.1)
    golden = decode(base64.b64decode(card.golden.image_base64), card.preprocessing).pixels
    assert np.array_equal(golden, held_out.pixels[0])


def test_multiply_accumulates_are_those_of_the_layers(exported_model: Path) -> None:
    convolutions = 16**2 * 64 * 3 * 16 + 8**2 * 128 * 64 * 16 + 4**2 * 256 * 128 * 16
    vectors = 4096 * 1024 + 1024 * 16 + 1024 * 512
    assert open_artefact(exported_model).card.encoder_macs == convolutions + vectors


def test_the_maps_of_held_out_images_have_the_mean_that_the_card_says(
    exported_model: Path, held_out: ImageSet
) -> None:
    card = open_artefact(exported_model).card
    model = open_model(Settings(models_dir=exported_model.parents[1], model="sample", device="cpu"))
    encoded = model.encode(held_out.pixels[:], features=True)
    maps = model.criticise(encoded.features, encoded.code, projections=False).mi_map
    assert float(maps.mean()) == pytest.approx(card.calibration.mi_nats, abs=1e-4)
    assert card.calibration.shuffled_nats < card.calibration.mi_nats
    assert card.calibration.joint_auc > 0.5


def test_the_readme_says_the_cards_figures(exported_model: Path) -> None:
    card = open_artefact(exported_model).card
    text = (exported_model / "README.md").read_text()
    assert text.startswith("# sample/1\n")
    for score in card.quality.scores:
        assert f"| {score.layer} | {score.dimensions} | {score.accuracy:.2%} |" in text
    assert f"{card.calibration.mi_nats:.3f} ± {card.calibration.mi_standard_error:.3f} nats" in text
    assert "- It has learned next to nothing." in text


def test_images_without_labels_make_a_model_without_scores(
    trained: TrainedEncoder, training: ImageSet, held_out: ImageSet, tmp_path: Path
) -> None:
    unlabelled = replace(training, labels=None, class_names=())
    card = export(trained, RELEASE, unlabelled, held_out, tmp_path).card
    assert card.quality.scores == ()
    assert "no labels" in (tmp_path / "sample" / "1" / "README.md").read_text()


class _Other(torch.nn.Module):
    """An encoder graph whose code is off by a little more than is allowed."""

    def __init__(self, graph: EncoderGraph) -> None:
        super().__init__()
        self.exported = graph

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        embedding, code, *layers = self.exported(image)
        return embedding, code * (1 + 2e-4), *layers


def test_a_graph_that_differs_from_pytorch_is_not_written(
    trained: TrainedEncoder,
    training: ImageSet,
    held_out: ImageSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def drifting(graph: EncoderGraph, *arguments: Any) -> onnx.ModelProto:
        return convert(_Other(graph), *arguments)

    monkeypatch.setattr(export_module, "convert", drifting)
    with pytest.raises(
        ExportError,
        match=r"output 'code' .* by 0\.0002 of its largest number, more than 0\.0001; nothing was written",
    ):
        export(trained, RELEASE, training, held_out, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_version_is_written_once(
    infomax: Infomax, finished_run: Path, exported_model: Path, sample_train: Path, tmp_path: Path
) -> None:
    before = {path.name: path.read_bytes() for path in exported_model.iterdir()}
    # The held-out images are not even looked for.
    answer = export_command(infomax, finished_run, sample_train, tmp_path / "no", exported_model.parents[1])
    assert "a version is written once, so choose the next number" in answer.sentence
    assert {path.name: path.read_bytes() for path in exported_model.iterdir()} == before


def test_a_process_that_dies_while_writing_leaves_no_model_behind(
    exported_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = open_artefact(exported_model).card
    graphs = [onnx.load(exported_model / name) for name in ("encoder.onnx", "critic.onnx")]

    def die(card: object) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(model_folder, "readme", die)
        with pytest.raises(KeyboardInterrupt):
            model_folder.write_folder(card, graphs[0], graphs[1], tmp_path)
    assert not (tmp_path / "sample" / "1").exists()
    assert model_folder.write_folder(card, graphs[0], graphs[1], tmp_path).card == card
    assert [path.name for path in tmp_path.iterdir()] == ["sample"]


def test_too_few_images_are_refused(
    trained: TrainedEncoder, training: ImageSet, held_out: ImageSet, tmp_path: Path
) -> None:
    of_few = replace(trained, provenance=None, total_steps=0)
    with pytest.raises(ExportError, match="45 training images and 100 held-out ones are too few"):
        export(of_few, RELEASE, training.take(np.arange(50)), held_out, tmp_path)
    with pytest.raises(ExportError, match="270 training images and 5 held-out ones are too few"):
        export(trained, RELEASE, training, held_out.take(np.arange(5)), tmp_path)


def test_images_of_another_run_are_refused(
    trained: TrainedEncoder, training: ImageSet, held_out: ImageSet, tmp_path: Path
) -> None:
    others = training.take(np.arange(200))
    with pytest.raises(TrainingError, match="The 200 training images are not those that the run was made of"):
        export(trained, RELEASE, others, held_out, tmp_path)
    unrecorded = replace(trained, provenance=None)
    with pytest.raises(TrainingError, match="200 training images would make 4 steps, the run has 8"):
        export(unrecorded, RELEASE, others, held_out, tmp_path)


def test_held_out_images_that_were_trained_on_are_refused(
    trained: TrainedEncoder, training: ImageSet, tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match="300 of the 300 held-out images are among the training images"):
        export(trained, RELEASE, training, training, tmp_path)


def test_classes_that_do_not_fit_are_refused_before_any_work(
    trained: TrainedEncoder, training: ImageSet, held_out: ImageSet, tmp_path: Path
) -> None:
    others = replace(held_out, class_names=tuple(name.upper() for name in held_out.class_names))
    with pytest.raises(DataError, match="name the classes of both alike"):
        export(trained, RELEASE, training, others, tmp_path)


@pytest.mark.parametrize("name", ["", "My Model", "../up", "a/b", "x" * 65])
def test_a_name_that_no_folder_or_setting_can_hold(name: str) -> None:
    with pytest.raises(ExportError, match=r"The model.s name is"):
        replace(RELEASE, name=name)


def export_command(
    infomax: Infomax, run: Path, train: Path, held_out: Path, models: Path, *more: str
) -> Answer:
    """`infomax export` with everything that it asks for."""
    said = ("--licence", "none", "--summary", "A sample.", "--limit", "One.", "--limit", "Two.")
    names = ("--name", "sample", "--data-name", "some", "--held-out-name", "others")
    data = ("--train", train, "--held-out", held_out, "--models", models)
    return infomax("export", "--run", run, *data, *names, *said, *more)


def test_a_colour_image_is_a_colour_image_to_the_end(exported_model: Path) -> None:
    """The golden picture is a PNG as a client would send it, of the model's own size."""
    card = open_artefact(exported_model).card
    picture = Image.open(BytesIO(base64.b64decode(card.golden.image_base64)))
    assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", (32, 32))
