"""One cell of the table: a recipe, one seed, and what came out; a file that appears whole or not at all."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from training.errors import TrainingError
from training.loop.execution import Precision
from training.system.atomic_file import write_whole


class AblationResult(BaseModel):
    """A finished run and its figures on validation images.

    Attributes:
        without: name of the trick that was left out, or FULL.
        seed: of everything random, the choice of validation images included.
        recipe: as JSON, with seed and epochs; what a folder is checked by.
        images: that were drawn from the data, validation images included.
        precision: of the encoder's products while it was trained.
        linear_conv, linear_fc: accuracy of the linear probe on a layer.
        neighbours_fc, neighbours: accuracy of kNN on the layer fc as it is, and on the embedding made of it.
        rank_me, alpha, lidar: of fc, without labels (training/evaluation/label_free); None in files of before
            they were measured, and where they cannot be.
        seconds: wall-clock time of the steps.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    without: str
    seed: int
    recipe: str
    images: int
    precision: Precision = "float32"
    linear_conv: float = Field(ge=0, le=1)
    linear_fc: float = Field(ge=0, le=1)
    neighbours_fc: float = Field(ge=0, le=1)
    neighbours: float = Field(ge=0, le=1)
    rank_me: float | None = None
    alpha: float | None = None
    lidar: float | None = None
    seconds: float = Field(ge=0)


def path(out: Path, without: str, seed: int) -> Path:
    """Name the file of a result."""
    return out / f"{without.replace(' ', '-')}-{seed}.json"


def write(out: Path, cell: AblationResult) -> None:
    """Write a cell atomically."""
    write_whole(path(out, cell.without, cell.seed), cell.model_dump_json(indent=2) + "\n")


def read(
    out: Path, without: str, seed: int, recipe: str, images: int, precision: Precision
) -> AblationResult | None:
    """Read the result, or None when it is not finished.

    Raises:
        TrainingError: the file is damaged, or was made by another recipe, budget or precision.
    """
    file = path(out, without, seed)
    if not file.is_file():
        return None
    try:
        cell = AblationResult.model_validate_json(file.read_text())
    except ValidationError as error:
        raise TrainingError(f"{file} is damaged; remove it to measure it anew.") from error
    if (cell.recipe, cell.images, cell.precision) != (recipe, images, precision):
        raise TrainingError(f"{file} was made by another recipe, budget or precision; name another --out.")
    return cell
