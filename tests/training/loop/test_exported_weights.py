"""The way back from an exported model: the encoder computes what the model does, and trains on from there."""

from pathlib import Path

import onnx
import pytest
import torch
from torch import Tensor

from tests.training.command import Infomax
from training.data import ImageSet
from training.data.views import to_unit
from training.errors import TrainingError
from training.export.graphs import EncoderGraph
from training.export.onnx_files import convert
from training.loop.exported_weights import initialise_from_exported, is_exported
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


def difference(one: list[Tensor], other: list[Tensor]) -> float:
    return max(float((a - b).norm() / b.norm()) for a, b in zip(one, other, strict=True))


def test_an_exported_encoder_computes_the_same_again(
    exported_model: Path, finished_run: Path, training: ImageSet, held_out: ImageSet
) -> None:
    trained = load_run(finished_run)
    encoder = encoder_of(5, trained.recipe.encoder)
    assert is_exported(exported_model)
    start = initialise_from_exported(encoder, exported_model, training.pixels)
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
    target = encoder_of(2, recipe)
    start = initialise_from_exported(target, tmp_path, training.pixels)
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
        initialise_from_exported(other, exported_model, training.pixels)


def test_a_damaged_model_is_a_sentence(tmp_path: Path, training: ImageSet) -> None:
    (tmp_path / "encoder.onnx").write_bytes(b"no graph")
    with pytest.raises(TrainingError, match=r"encoder\.onnx cannot be read"):
        initialise_from_exported(
            encoder_of(1, EncoderRecipe(name="dim32", code_units=16)), tmp_path, training.pixels
        )
