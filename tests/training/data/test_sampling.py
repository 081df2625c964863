"""Samples show all classes, also of images that come sorted by class, as folders do."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.data import ImageSet
from training.data.image_set import sample_rows
from training.evaluation.encoding import encode
from training.export import critic_fitting, quantise
from training.export.calibration import other_rows
from training.loop import input_statistics, monitor
from training.loop.resume import train_or_resume
from training.model.encoders import Encoder, Encoding, build_encoder
from training.model.serving_critic import ServingCritic, held_out_bound
from training.model.whitening import whiten
from training.recipe import EncoderRecipe, Recipe
from training.report import evidence
from training.report.reported_run import load_reported_run

CLASSES = 10
EACH = 24
SIDE = 32


def sorted_images() -> ImageSet:
    """Images sorted by class; every pixel of class c is near 20 c, so that pixels tell the class."""
    labels = np.repeat(np.arange(CLASSES), EACH)
    noise = np.random.default_rng(0).integers(0, 10, (len(labels), SIDE, SIDE, 3))
    pixels = (20 * labels[:, None, None, None] + noise).astype(np.uint8)
    return ImageSet(
        pixels, labels, tuple("abcdefghij"), tuple(f"{row:03d}.png" for row in range(len(labels)))
    )


def classes(pixels: Tensor | NDArray[np.uint8], scale: float = 1.0) -> set[int]:
    """The classes that images show; `scale` is the range of a pixel over 255."""
    values = torch.as_tensor(pixels[:]).double().flatten(1).mean(dim=1) / scale
    return {int(value // 20) for value in values}


EVERY = set(range(CLASSES))


@pytest.fixture(autouse=True)
def small_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples of 100 images of 240: the first 100 are of the first five classes."""
    for module, name in (
        (monitor, "_BANK"),
        (monitor, "_QUERIES"),
        (input_statistics, "_WHITENED_ON"),
        (input_statistics, "_STATISTICS_ON"),
        (critic_fitting, "_STANDARDISED_ON"),
        (quantise, "CALIBRATION_IMAGES"),
        (evidence, "_OTHERS"),
    ):
        monkeypatch.setattr(module, name, 100)


def recipe(**changes: object) -> Recipe:
    return Recipe.model_validate(
        {
            "name": "sorted",
            "epochs": 1,
            "batch_size": 16,
            "views": 1,
            "encoder": {"name": "dim32", "code_units": 8, "whitened": True},
            **changes,
        }
    )


def test_a_sample_has_the_asked_number_of_rows_in_order_and_depends_on_the_seed_alone() -> None:
    rows = sample_rows(1_000, 100, seed=3)
    assert len(set(rows.tolist())) == 100
    assert (np.diff(rows) > 0).all()
    assert (rows == sample_rows(1_000, 100, seed=3)).all()
    assert (rows != sample_rows(1_000, 100, seed=4)).any()
    assert sample_rows(5, 100, seed=0).tolist() == [0, 1, 2, 3, 4]


def test_whitening_sees_every_class(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[set[int]] = []

    def watched(layer: torch.nn.Conv2d, batches: Iterable[Tensor]) -> None:
        images = torch.cat(list(batches))
        mean, std = input_statistics.channel_statistics(trained.pixels, 0)
        seen.append(classes(images * std.view(1, 3, 1, 1) + mean.view(1, 3, 1, 1), 1 / 255))
        whiten(layer, [images])

    trained, _ = sorted_images().split(0.1, 0)
    monkeypatch.setattr(input_statistics, "whiten", watched)
    train_or_resume(recipe(), sorted_images(), tmp_path / "run")
    assert seen == [EVERY]


def test_channel_statistics_are_those_of_all_classes() -> None:
    mean, _ = input_statistics.channel_statistics(sorted_images().pixels, seed=0)
    assert mean[0] * 255 == pytest.approx(94.5, abs=10)


def test_the_monitor_sees_every_class_in_both_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[set[int]] = []

    def watched(encoder: Encoder, pixels: Tensor) -> Encoding:
        seen.append(classes(pixels))
        return encode(encoder, pixels)

    monkeypatch.setattr(monitor, "encode", watched)
    encoder = build_encoder(EncoderRecipe(name="dim32", code_units=8), SIDE)
    monitor.Monitor(encoder, sorted_images(), sorted_images(), recipe()).measure()
    assert seen == [EVERY, EVERY]


def test_the_scale_of_the_critic_is_that_of_every_class(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[set[int]] = []

    def watched(_critic: ServingCritic, features: Tensor, code: Tensor) -> None:
        seen.extend((classes(features), classes(code)))

    monkeypatch.setattr(ServingCritic, "standardise", watched)
    pixels = torch.from_numpy(sorted_images().pixels).float().permute(0, 3, 1, 2)[:, :, :2, :2]
    code = pixels.flatten(1)
    critic_fitting.fit(pixels, code, (pixels[:48], code[:48]), seed=0, epochs=1, batch_size=48)
    assert seen == [EVERY, EVERY]


def test_every_batch_of_the_held_out_bound_mixes_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def watched(critic: ServingCritic, features: Tensor, code: Tensor, batch_size: int) -> float:
        seen.extend(len(classes(part)) for part in code.split(batch_size))
        return held_out_bound(critic, features, code, batch_size)

    monkeypatch.setattr(critic_fitting, "held_out_bound", watched)
    pixels = torch.from_numpy(sorted_images().pixels).float().permute(0, 3, 1, 2)[:, :, :2, :2]
    code = pixels.flatten(1)
    critic_fitting.fit(pixels, code, (pixels, code), seed=0, epochs=2, batch_size=EACH)
    assert min(seen) > 4


def test_the_ranges_of_8_bits_come_from_every_class(
    monkeypatch: pytest.MonkeyPatch, exported_model: Path
) -> None:
    seen: list[set[int]] = []
    reader = quantise._CalibrationReader

    def watched(name: str, pixels: NDArray[np.uint8]) -> object:
        seen.append(classes(pixels))
        return reader(name, pixels)

    monkeypatch.setattr(quantise, "_CalibrationReader", watched)
    quantise.quantise(onnx.load(exported_model / "encoder.onnx"), sorted_images().pixels, seed=0)
    assert seen == [EVERY]


def test_the_marginal_of_a_report_s_maps_is_made_of_every_class(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[set[int]] = []

    def watched(_learner: object, _recipe: object, _shown: object, others: NDArray[np.uint8]) -> None:
        seen.append(classes(others))

    monkeypatch.setattr(evidence, "mi_maps", watched)
    assert train_or_resume(recipe(), sorted_images(), tmp_path / "run") is not None
    known, other = sorted_images().split(0.1, 0)
    evidence.gather(load_reported_run(tmp_path / "run"), known, other, "held out")
    assert seen == [EVERY]


def test_pairs_of_different_images_are_of_different_classes_mostly_and_never_of_one_image() -> None:
    labels = sorted_images().labels
    assert labels is not None
    others = other_rows(len(labels), seed=0)
    assert sorted(others.tolist()) == list(range(len(labels)))
    assert (others != np.arange(len(labels))).all()
    assert (labels[others] == labels).mean() < 2 / CLASSES
    assert other_rows(2, seed=0).tolist() == [1, 0]
