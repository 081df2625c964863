"""The way back from an exported model: the encoder computes what the model does, and trains on from there."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.training.command import Infomax
from training.data import ImageSet
from training.data.views import to_unit
from training.errors import TrainingError
from training.export.graphs import EncoderGraph
from training.export.onnx_files import convert
from training.loop.initial_weights import Start
from training.loop.starting_point import StartingPoint
from training.loop.trained import load_run
from training.model.encoders import Encoder, build_encoder
from training.model.encoders.embedding import EmbeddingHead
from training.recipe import EncoderRecipe


def encoder_of(seed: int, recipe: EncoderRecipe, size: int = 32) -> Encoder:
    torch.manual_seed(seed)
    return build_encoder(recipe, size)


@torch.no_grad()
def layers(encoder: Encoder, images: Tensor, *, training: bool = False) -> list[Tensor]:
    encoder.train(training)
    return [layer.flatten(1) for layer in encoder(images)]


def start_from(source: Path, encoder: Encoder, images: ImageSet) -> Start:
    return StartingPoint.read(source).apply(encoder, images.pixels)


def difference(one: list[Tensor], other: list[Tensor]) -> float:
    return max(float((a - b).norm() / b.norm()) for a, b in zip(one, other, strict=True))


def test_an_exported_encoder_computes_the_same_again(
    exported_model: Path, finished_run: Path, training: ImageSet, held_out: ImageSet
) -> None:
    trained = load_run(finished_run)
    encoder = encoder_of(5, trained.recipe.encoder)
    start = start_from(exported_model, encoder, training)
    assert start.missing == ()
    images = to_unit(torch.from_numpy(held_out.pixels[:]))
    assert difference(layers(encoder, images), layers(trained.encoder, images)) < 1e-4
    # Also where a batch is normalised by itself: so the first step sees what the model computes.
    batch = to_unit(torch.from_numpy(training.pixels[:]))
    assert difference(layers(encoder, batch, training=True), layers(trained.encoder, batch)) < 0.15


def test_a_trunk_with_shortcuts_computes_the_same_again(tmp_path: Path, training: ImageSet) -> None:
    recipe = EncoderRecipe(name="resnet18", hidden_units=16, code_units=8)
    source = encoder_of(1, recipe)
    images = to_unit(torch.from_numpy(training.pixels[:64]))
    for _ in range(3):
        layers(source, images, training=True)
    units = layers(source.eval(), images)[2].shape[1]
    graph = EncoderGraph(source, "fc", EmbeddingHead(units)).eval()
    pixels = torch.from_numpy(training.pixels[:2])
    onnx.save(convert(graph, (pixels,), ("image",), graph.OUTPUTS), tmp_path / "encoder.onnx")
    (tmp_path / "card.json").write_text("{}")
    target = encoder_of(2, recipe)
    start = start_from(tmp_path, target, training)
    assert start.missing == ()
    assert difference(layers(target, images), layers(source, images)) < 1e-4


def test_a_run_starts_from_a_model(
    infomax: Infomax,
    exported_model: Path,
    sample_recipe: Path,
    sample_train: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    what = ("--recipe", sample_recipe, "--data", sample_train, "--out", tmp_path / "run", "--epochs", "1")
    answer = infomax("train", *what, "--init", exported_model, "--no-report")
    assert answer.status == 0, answer.err
    assert "tensors loaded." in caplog.text


def test_a_model_of_another_architecture_is_a_sentence(exported_model: Path, training: ImageSet) -> None:
    other = encoder_of(1, EncoderRecipe(name="resnet18"))
    with pytest.raises(TrainingError, match="does not fit the encoder"):
        start_from(exported_model, other, training)


def test_a_model_with_older_names_of_layers_is_the_same_start() -> None:
    model = Path("models/clothing/1")
    recipe = EncoderRecipe.model_validate({"name": "coarse64", "code_units": 128})
    tensors = StartingPoint.read(model).tensors
    # Released when the layer that a block begins with had the name of the block.
    assert "conv.0.weight" in tensors
    encoder = encoder_of(1, recipe, size=64)
    pixels = np.random.default_rng(0).integers(0, 256, (16, 64, 64, 3), np.uint8)
    assert StartingPoint.read(model).apply(encoder, pixels).missing == ()
    assert torch.equal(encoder.state_dict()["conv.0.0.weight"], tensors["conv.0.weight"])


def test_a_layer_that_the_encoder_lacks_is_a_sentence(exported_model: Path, finished_run: Path) -> None:
    point = StartingPoint.read(exported_model)
    other = replace(point, tensors={**point.tensors, "conv.9.9.weight_bias": torch.zeros(1)})
    with pytest.raises(TrainingError, match=r"it has a layer conv\.9\.9, the encoder has none"):
        other.check(load_run(finished_run).recipe)


def test_weights_are_refused_before_images_are_decoded_and_a_folder_is_made(
    infomax: Infomax, sample_recipe: Path, sample_train: Path, tmp_path: Path
) -> None:
    save_file({"far.away": torch.zeros(1)}, tmp_path / "other.safetensors")
    what = ("--recipe", sample_recipe, "--data", sample_train, "--out", tmp_path / "run")
    answer = infomax("train", *what, "--init", tmp_path / "other.safetensors")
    assert answer.status == 1
    assert "does not fit the encoder" in answer.err
    assert "decoding" not in answer.err
    assert not (tmp_path / "run").exists()


def test_a_check_draws_no_random_number(exported_model: Path, finished_run: Path) -> None:
    recipe = load_run(finished_run).recipe
    before = torch.random.get_rng_state()
    StartingPoint.read(exported_model).check(recipe)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    ("graph", "why"),
    [
        (b"no graph", r"encoder\.onnx cannot be read"),
        (b"", r"encoder\.onnx holds no weights of an encoder"),
    ],
    ids=["damaged", "empty"],
)
def test_a_model_without_weights_is_a_sentence(tmp_path: Path, graph: bytes, why: str) -> None:
    (tmp_path / "card.json").write_text("{}")
    (tmp_path / "encoder.onnx").write_bytes(graph)
    with pytest.raises(TrainingError, match=why):
        StartingPoint.read(tmp_path)
