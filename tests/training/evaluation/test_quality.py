"""Measured quality: classes matched by name, a baseline to compare with, and no figure without labels."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from contract.card import ProbeScore
from contract.preprocessing import Preprocessing
from training.data import ImageSet, load
from training.errors import DataError
from training.evaluation.frozen import FrozenEncoder
from training.evaluation.quality import measure_quality, shared_labels
from training.export.embedding_graph import embedded, frozen_graph
from training.model.encoders import build_encoder
from training.recipe import EncoderRecipe

RULE = Preprocessing(height=32, width=32)


@pytest.fixture(scope="module")
def encoder(training: ImageSet) -> FrozenEncoder:
    torch.manual_seed(0)
    return frozen_graph(
        embedded(build_encoder(EncoderRecipe(name="dim32", code_units=16), 32), "fc", training, seed=0)
    )


@pytest.fixture(scope="module")
def training(sample_train: Path) -> ImageSet:
    return load(sample_train, RULE)


@pytest.fixture(scope="module")
def test_images(sample_test: Path) -> ImageSet:
    return load(sample_test, RULE)


def labelled(names: tuple[str, ...], labels: list[int]) -> ImageSet:
    pixels = np.zeros((len(labels), 32, 32, 3), np.uint8)
    return ImageSet(pixels, np.array(labels, np.int64), names, tuple(map(str, labels)))


def test_every_layer_has_its_scores(
    encoder: FrozenEncoder, training: ImageSet, test_images: ImageSet
) -> None:
    quality = measure_quality(encoder, training, test_images, split="sample", seed=0)
    assert [(s.probe, s.layer, s.dimensions, s.k) for s in quality.scores] == [
        ("linear", "conv", 4096, None),
        ("linear", "fc", 1024, None),
        ("linear", "Y", 16, None),
        ("knn", "conv", 4096, 20),
        ("weighted_knn", "conv", 4096, 200),
        ("knn", "fc", 1024, 20),
        ("weighted_knn", "fc", 1024, 200),
        ("knn", "Y", 16, 20),
        ("weighted_knn", "Y", 16, 200),
        ("knn", "embedding", 512, 20),
        ("weighted_knn", "embedding", 512, 200),
    ]
    assert quality.majority == pytest.approx(0.1)
    assert quality.images == 100
    best = max(quality.scores, key=lambda score: score.accuracy)
    assert quality.majority is not None
    assert best.accuracy > 2 * quality.majority


def test_the_same_seed_measures_the_same(
    encoder: FrozenEncoder, training: ImageSet, test_images: ImageSet
) -> None:
    first, second = (
        measure_quality(encoder, training, test_images, split="sample", seed=1) for _ in range(2)
    )
    assert first == second


def test_an_encoder_that_knows_the_class_is_found_out(training: ImageSet, test_images: ImageSet) -> None:
    """The class is written into a pixel of each image, and the layer is that pixel."""

    def marked(images: ImageSet) -> ImageSet:
        assert images.labels is not None
        pixels = images.pixels[:].copy()
        pixels[:, 0, 0, 0] = images.labels
        return replace(images, pixels=pixels)

    def run(pixels: np.ndarray, outputs: object) -> list[np.ndarray]:
        return [np.eye(10, dtype=np.float32)[pixels[:, 0, 0, 0]]]

    perfect = FrozenEncoder(run, ("code",))
    quality = measure_quality(perfect, marked(training), marked(test_images), split="sample", seed=0)
    assert quality.scores == (
        ProbeScore(layer="Y", dimensions=10, probe="linear", accuracy=1.0),
        ProbeScore(layer="Y", dimensions=10, probe="knn", k=20, accuracy=1.0),
        ProbeScore(layer="Y", dimensions=10, probe="weighted_knn", k=200, accuracy=1.0),
    )


def test_without_labels_there_is_no_score(
    encoder: FrozenEncoder, training: ImageSet, test_images: ImageSet
) -> None:
    unlabelled = replace(test_images, labels=None, class_names=())
    quality = measure_quality(encoder, training, unlabelled, split="sample", seed=0)
    assert (quality.images, quality.majority, quality.scores) == (100, None, ())


def test_classes_are_matched_by_name() -> None:
    training = labelled(("ant", "bee", "cat"), [0, 1, 2])
    test = labelled(("bee", "cat"), [0, 1, 1])
    labels, truth = shared_labels(training, test)
    assert labels.tolist() == [0, 1, 2]
    assert truth.tolist() == [1, 2, 2]


def test_a_class_that_only_the_test_has_is_named() -> None:
    with pytest.raises(DataError, match=r"have the class 'dog', the training images only ant, bee"):
        shared_labels(labelled(("ant", "bee"), [0, 1]), labelled(("ant", "dog"), [0, 1]))


def test_one_class_is_no_task() -> None:
    with pytest.raises(DataError, match="at least two"):
        shared_labels(labelled(("ant",), [0, 0]), labelled(("ant",), [0]))


def test_missing_labels_are_named(training: ImageSet) -> None:
    unlabelled = replace(training, labels=None, class_names=())
    with pytest.raises(DataError, match="The training images have no labels"):
        shared_labels(unlabelled, training)
    with pytest.raises(DataError, match="The test images have no labels"):
        shared_labels(training, unlabelled)
