"""`utility.json`: what was measured of what, written after each classifier and read again to go on."""

import hashlib
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, ValidationError, computed_field

from training.data import ImageSet
from training.errors import TrainingError
from training.experiments.utility.cells import Method, UtilityCell
from training.experiments.utility.classifier import ClassifierSchedule
from training.experiments.utility.points import Point, points
from training.model.encoders import Encoder
from training.system.atomic_file import write_whole

FILE = "utility.json"


class CurveSubject(BaseModel):
    """Identity of a curve: accuracies of another subject belong to another curve.

    Attributes:
        encoder: SHA-256 of the pretrained weights.
        layer: layer that classifiers read.
        training, test: SHA-256 of the pixels and labels of both sets.
        training_images, test_images, classes: how many there are.
        schedule: of fine-tuning and of training from scratch.
    """

    model_config = ConfigDict(frozen=True)

    encoder: str
    layer: str
    training: str
    test: str
    training_images: int
    test_images: int
    classes: int
    schedule: ClassifierSchedule


class UtilityCurve(BaseModel):
    """The content of `utility.json`.

    Attributes:
        subject: what was measured.
        cells: all that was measured so far, in the order of `UtilityCell.place`.
    """

    model_config = ConfigDict(frozen=True)

    subject: CurveSubject
    cells: tuple[UtilityCell, ...] = ()

    @computed_field  # type: ignore[prop-decorator]  # mypy does not see through a decorated property
    @property
    def points(self) -> tuple[Point, ...]:
        """Figures by number of labels; they are in the file for readers without this code."""
        return points(self.cells)

    def has(self, labels: int, seed: int, method: Method) -> bool:
        """Tell whether a cell is measured."""
        return any((c.labels, c.seed, c.method) == (labels, seed, method) for c in self.cells)

    def with_cell(self, cell: UtilityCell) -> "UtilityCurve":
        """Add a cell; the order of additions does not change the curve."""
        cells = sorted((*self.cells, cell), key=lambda c: c.place)
        return self.model_copy(update={"cells": tuple(cells)})


def load(folder: Path) -> UtilityCurve | None:
    """Read `folder/utility.json`; None when there is none.

    Raises:
        TrainingError: it is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        return UtilityCurve.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise TrainingError(
            f"{path} cannot be read ({error.errors()[0]['msg']}); remove it and measure again."
        ) from error


def save(folder: Path, curve: UtilityCurve) -> Path:
    """Write `folder/utility.json` atomically: a crash leaves the previous one intact."""
    path = folder / FILE
    write_whole(path, curve.model_dump_json(indent=2) + "\n")
    return path


def weights_digest(encoder: Encoder) -> str:
    """Hash (SHA-256) every weight and statistic of an encoder."""
    digest = hashlib.sha256()
    for name, tensor in sorted(encoder.state_dict().items()):
        digest.update(f"\0{name}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.detach().contiguous(memory_format=torch.contiguous_format).numpy().tobytes())
    return digest.hexdigest()


def images_digest(images: ImageSet) -> str:
    """Hash (SHA-256) the pixels and labels of a set, wherever its files lie."""
    digest = hashlib.sha256(f"{images.pixels.shape}\0{images.class_names}".encode())
    digest.update(images.sha256().encode())
    if images.labels is not None:
        digest.update(images.labels.tobytes())
    return digest.hexdigest()
