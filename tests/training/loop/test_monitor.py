"""Signs of health during training: they tell a collapsed encoder from a healthy one."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Generator, Tensor

from contract.preprocessing import Preprocessing
from training.data import load
from training.evaluation.effective_rank import effective_rank
from training.evaluation.encoding import encode
from training.loop import monitor
from training.loop.monitor import Monitor, most_measured
from training.model.encoders import Encoder, Encoding, build_encoder
from training.recipe import EncoderRecipe, Recipe, ViewRecipe

ENCODER = EncoderRecipe(name="dim32", code_units=16)


def test_the_rank_of_independent_directions_is_their_number() -> None:
    vectors = torch.randn(20_000, 16, generator=Generator().manual_seed(0))
    assert effective_rank(vectors) == pytest.approx(16, abs=0.1)
    assert effective_rank(vectors[:, :4] @ torch.eye(4, 16) + 5) == pytest.approx(4, abs=0.1)


def test_the_rank_of_a_collapsed_encoder_is_near_1() -> None:
    line = torch.randn(1_000, 1, generator=Generator().manual_seed(0)) * torch.ones(1, 16)
    assert effective_rank(line) == pytest.approx(1, abs=0.01)


def test_neighbours_are_counted_only_where_there_are_labels(sample_train: Path, sample_test: Path) -> None:
    torch.manual_seed(0)
    encoder = build_encoder(ENCODER, 32)
    rule = Preprocessing(height=32, width=32)
    training, validation = load(sample_train, rule), load(sample_test, rule)
    recipe = Recipe(name="plain", epochs=1, views=1, encoder=ENCODER)
    values = Monitor(encoder, training, validation, recipe).measure()
    signs = {"rank_fc", "rank_code", "rankme_fc", "alpha_fc"}
    assert set(values) == {*signs, "knn_fc"}
    assert values["knn_fc"] > 0.1
    unlabelled = replace(training, labels=None, class_names=())
    assert set(Monitor(encoder, unlabelled, validation, recipe).measure()) == signs


def test_where_there_are_views_images_are_told_apart_from_them(
    sample_train: Path, sample_test: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    encoder = build_encoder(ENCODER, 32)
    rule = Preprocessing(height=32, width=32)
    training, validation = load(sample_train, rule), load(sample_test, rule)
    encoded: list[int] = []

    def counted(encoder: Encoder, pixels: Tensor) -> Encoding:
        encoded.append(len(pixels))
        return encode(encoder, pixels)

    monkeypatch.setattr(monitor, "encode", counted)
    recipe = Recipe(name="with views", epochs=1, encoder=ENCODER, augmentation=ViewRecipe())
    one = Monitor(encoder, training, validation, recipe)
    values = one.measure()
    assert 1 < values["lidar_fc"] < len(validation)
    # What `infomax plan` counts with.
    assert sum(encoded) == most_measured(recipe, len(training), len(validation), labels=True)
    assert one.measure() == values
