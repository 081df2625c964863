"""What an experiment found, as a file that appears whole or not at all."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from training.errors import TrainingError
from training.experiments.reproduce.budget import Budget
from training.system.atomic_file import write_whole


class Score(BaseModel):
    """Accuracy of one classifier on one frozen layer, on the test images."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layer: str
    probe: str
    accuracy: float = Field(ge=0, le=1)


class Result(BaseModel):
    """One finished experiment.

    Attributes:
        name: of the experiment.
        command: that made it.
        budget: that it had.
        hardware: in words.
        training_seconds, probing_seconds: wall-clock time, of steps and of everything after them.
        test_images: how many the accuracies were measured on.
        scores: of every classifier on every layer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    command: str
    budget: Budget
    hardware: str
    training_seconds: float
    probing_seconds: float
    test_images: int
    scores: tuple[Score, ...]

    def accuracy(self, layer: str, probe: str) -> float:
        """Return the accuracy of one classifier on one layer.

        Raises:
            KeyError: it was not measured.
        """
        return {(score.layer, score.probe): score.accuracy for score in self.scores}[layer, probe]


def write(out: Path, result: Result) -> None:
    """Write `<out>/<name>.json` atomically."""
    write_whole(_path(out, result.name), result.model_dump_json(indent=2) + "\n")


def read(out: Path, name: str) -> Result | None:
    """Read the result of an experiment, or None when it is not finished.

    Raises:
        TrainingError: the file is damaged.
    """
    path = _path(out, name)
    if not path.is_file():
        return None
    try:
        return Result.model_validate_json(path.read_text())
    except ValidationError as error:
        raise TrainingError(f"{path} is damaged; remove it to measure {name} anew.") from error


def _path(out: Path, name: str) -> Path:
    return out / f"{name}.json"
