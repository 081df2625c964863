"""Scores of methods, one file each, and their table."""

from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev

from pydantic import BaseModel, ConfigDict

from training.loop.execution import Precision
from training.system.atomic_file import write_whole

_FIGURES = {"linear conv": "linear_conv", "linear fc": "linear_fc", "kNN embedding": "neighbours"}


class Score(BaseModel):
    """What one training reached.

    Attributes:
        method: its name.
        seed: of everything random, the choice of validation images included.
        recipe: as JSON, with the seed.
        images: that there were, validation images included.
        budget: processor seconds that it was given.
        precision: of the encoder's products while it was trained.
        steps: taken.
        passes: over the training images.
        processor_seconds: of the steps.
        linear_conv, linear_fc: accuracy of the linear probe on a layer, on validation images.
        neighbours: of kNN (k = 20) on the embedding made of fc.
    """

    model_config = ConfigDict(frozen=True)

    method: str
    seed: int
    recipe: str
    images: int
    budget: float
    precision: Precision
    steps: int
    passes: float
    processor_seconds: float
    linear_conv: float
    linear_fc: float
    neighbours: float


def path(out: Path, method: str, seed: int) -> Path:
    """Name the file of a score."""
    return out / f"{method.replace(' ', '-')}-{seed}.json"


def write(out: Path, score: Score) -> None:
    """Write a score, whole or not at all."""
    out.mkdir(parents=True, exist_ok=True)
    write_whole(path(out, score.method, score.seed), score.model_dump_json(indent=1) + "\n")


def read(
    out: Path, method: str, seed: int, recipe: str, images: int, budget: float, precision: Precision
) -> Score | None:
    """Read a score; None where it is missing, or of another recipe, number of images, budget or precision."""
    file = path(out, method, seed)
    if not file.is_file():
        return None
    score = Score.model_validate_json(file.read_text())
    made_by = (score.recipe, score.images, score.budget, score.precision)
    return score if made_by == (recipe, images, budget, precision) else None


def markdown(scores: Sequence[Score], command: str) -> str:
    """Write a line for each method, and who is first by each figure."""
    methods = list(dict.fromkeys(score.method for score in scores))
    heads = ("method", *_FIGURES, "steps", "passes", "processor s", "seeds")
    lines = [f"| {' | '.join(heads)} |", "|" + " --- |" * len(heads)]
    for method in methods:
        own = [score for score in scores if score.method == method]
        cells = [
            method,
            *(_spread([100 * getattr(score, field) for score in own]) for field in _FIGURES.values()),
            f"{mean(score.steps for score in own):,.0f}",
            f"{mean(score.passes for score in own):.1f}",
            f"{mean(score.processor_seconds for score in own):.0f}",
            ", ".join(str(score.seed) for score in own),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(
        [*lines, "", *(_first(scores, methods, figure) for figure in _FIGURES), "", f"`{command}`", ""]
    )


def _first(scores: Sequence[Score], methods: Sequence[str], figure: str) -> str:
    """Name the method of the highest mean."""
    means = {
        method: mean(getattr(score, _FIGURES[figure]) for score in scores if score.method == method)
        for method in methods
    }
    best = max(methods, key=lambda method: means[method])
    return f"- First by {figure}: {best}, {100 * means[best]:.1f} %."


def _spread(values: Sequence[float]) -> str:
    return f"{mean(values):.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else "")
