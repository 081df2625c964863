"""A graph's embedding is made of the layer that was named, and fitted to the images that were given."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from contract.preprocessing import Preprocessing
from contract.training_distance import TRAINING_DISTANCE, with_training_distance
from training.data import ImageSet, load
from training.evaluation.encoding import encode
from training.export import embedding_graph as module
from training.export.embedding_graph import embedded
from training.export.onnx_files import session_of
from training.model.encoders import build_encoder
from training.model.encoders.embedding import EmbeddingHead
from training.recipe import EncoderRecipe


@pytest.fixture(scope="module")
def images(sample_train: Path) -> ImageSet:
    return load(sample_train, Preprocessing(height=32, width=32))


# Its layers are short: the axes of 4,096 numbers, as the last map of dim32 has, take sixteen seconds.
SMALL = EncoderRecipe(
    factory="tests.training.model.test_backbone:small_net",
    features="norm",
    conv="activation",
    code_units=16,
    hidden_units=32,
)


@pytest.mark.parametrize("layer", ["conv", "fc", "code"])
def test_the_embedding_is_that_of_its_layer(layer: str, images: ImageSet) -> None:
    torch.manual_seed(0)
    encoder = build_encoder(SMALL, 32)
    graph = embedded(encoder, layer, images, seed=0)
    pixels = torch.from_numpy(images.pixels[:])
    with torch.no_grad():
        answered = dict(zip(graph.OUTPUTS, graph(pixels), strict=True))["embedding"]
    vectors = encode(encoder, pixels).vectors(layer)
    expected = EmbeddingHead(vectors.shape[1])
    expected.fit([vectors])
    cosines = answered @ answered.T
    assert (cosines - expected(vectors) @ expected(vectors).T).abs().max() < 1e-3
    assert cosines.std() > 0.05, "all images are alike"


def test_labels_play_no_part_and_many_images_are_sampled(
    images: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    encoder = build_encoder(EncoderRecipe(name="dim32", code_units=16), 32)
    unlabelled = replace(images, labels=None, class_names=())
    monkeypatch.setattr(module, "_MOST_IMAGES", 100)
    sampled = embedded(encoder, "fc", unlabelled, seed=3).embedding
    expected = embedded(encoder, "fc", images.sample(100, 3), seed=0).embedding
    assert torch.equal(sampled.axes, expected.axes)


def test_the_graph_holds_the_distance_to_the_training_images(
    exported_model: Path, training: ImageSet
) -> None:
    encoder = with_training_distance(onnx.load(exported_model / "encoder.onnx"))
    (distances,) = session_of(encoder).run([TRAINING_DISTANCE], {"image": training.pixels})
    assert np.sqrt((distances**2).mean()) == pytest.approx(1, abs=0.1)
