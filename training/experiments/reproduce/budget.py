"""What every experiment of a comparison may spend: the same for all, or they could not be compared."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from training.errors import TrainingError
from training.loop.execution import Precision, precision_option

_FILE = "budget.json"


class Budget(BaseModel):
    """Images, steps and randomness of each experiment.

    Attributes:
        train, test: where the images lie, as the user wrote it.
        images: drawn from the training images by the seed; encoders and classifiers are fitted to them.
        epochs: passes of an encoder over nine tenths of them; the rest is held out for choices.
        batch_size: images of a step.
        seed: of everything random.
        precision: of the encoders' products while they are trained.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    train: str
    test: str
    images: int = Field(ge=1)
    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=2)
    seed: int = Field(ge=0)
    precision: Precision = "float32"

    def command(self, name: str, out: Path) -> str:
        """Write the command for one experiment."""
        return (
            f"infomax reproduce {name} --train {self.train} --test {self.test} --out {out} "
            f"--images {self.images} --epochs {self.epochs} --batch-size {self.batch_size} --seed {self.seed}"
            f"{precision_option(self.precision)}"
        )


def claim(out: Path, budget: Budget) -> None:
    """Make `out` the folder of this budget.

    Raises:
        TrainingError: it holds experiments of another one.
    """
    path = out / _FILE
    if path.is_file():
        try:
            known = Budget.model_validate_json(path.read_text())
        except ValidationError as error:
            raise TrainingError(f"{path} is damaged; name another --out.") from error
        if known != budget:
            raise TrainingError(
                f"{out} holds experiments of another budget ({_difference(known, budget)}); "
                "ask for that one again, or name another --out."
            )
        return
    out.mkdir(parents=True, exist_ok=True)
    path.write_text(budget.model_dump_json(indent=2) + "\n")


def _difference(known: Budget, asked: Budget) -> str:
    before, after = known.model_dump(), asked.model_dump()
    return ", ".join(f"{key} {before[key]}, not {after[key]}" for key in before if before[key] != after[key])
