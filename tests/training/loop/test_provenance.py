"""What a checkpoint records of its making, and who reads it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from contract.preprocessing import Preprocessing
from training.data import load
from training.errors import TrainingError
from training.export.model_card import Release
from training.export.version import export
from training.loop.provenance import Provenance
from training.loop.trained import load_run
from training.system.hardware import hardware

RULE = Preprocessing(height=32, width=32)


def test_a_run_records_what_it_was_made_with(finished_run: Path, sample_train: Path) -> None:
    made = load_run(finished_run).provenance
    assert made == Provenance(
        hardware=hardware(),
        torch=str(torch.__version__),
        ranks=1,
        precision="float32",
        images=load(sample_train, RULE).sha256(),
    )


def test_the_machine_that_trained_is_named_and_not_the_one_that_exports(finished_run: Path) -> None:
    trained = load_run(finished_run)
    elsewhere = replace(trained, provenance=Provenance("an abacus", "0.4.1", 2, "bfloat16", ""))
    assert (elsewhere.hardware, elsewhere.torch) == ("an abacus", "0.4.1")
    unknown = replace(trained, provenance=None)
    assert (unknown.hardware, unknown.torch) == (hardware(), str(torch.__version__))


def test_the_fingerprint_tells_any_pixel_their_order_and_their_shape(sample_test: Path) -> None:
    images = load(sample_test, RULE)
    changed = images.pixels[:].copy()
    changed[3, 4, 5, 0] ^= 1
    others = (
        replace(images, pixels=changed),
        images.take(np.arange(len(images))[::-1]),
        replace(images, pixels=images.pixels[:].reshape(len(images), 64, 16, 3)),
    )
    assert images.take(np.arange(len(images))).sha256() == images.sha256()
    assert images.sha256() not in {each.sha256() for each in others}


def test_export_refuses_images_that_the_run_was_not_made_of(
    finished_run: Path, sample_train: Path, sample_test: Path, tmp_path: Path
) -> None:
    """As many as the run had, so that their number does not tell."""
    images = load(sample_train, RULE)
    release = Release("mine", 1, "none", "A test.", (), "sample_train", "sample_test")
    with pytest.raises(TrainingError, match="300 training images are not those that the run was made of"):
        export(
            load_run(finished_run),
            release,
            images.take(np.arange(len(images))[::-1]),
            load(sample_test, RULE),
            tmp_path,
        )
