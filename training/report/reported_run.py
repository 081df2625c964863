"""A run with everything that it trained, critics included."""

from dataclasses import dataclass
from pathlib import Path

from training.errors import TrainingError
from training.loop import checkpoint
from training.loop.metrics import read_points
from training.model.learner import Learner
from training.recipe import Recipe


@dataclass(frozen=True)
class ReportedRun:
    """Run that a report is about.

    Attributes:
        folder: of the run.
        recipe: complete.
        learner: encoder and critics in evaluation mode.
        steps, total_steps: steps taken, and steps that the recipe asks for.
        seconds: time spent in steps.
        points: what the run has logged, each {"step", name: value, ...}.
    """

    folder: Path
    recipe: Recipe
    learner: Learner
    steps: int
    total_steps: int
    seconds: float
    points: list[dict[str, float]]

    @property
    def steps_per_epoch(self) -> int:
        """Steps of one pass over the training images."""
        return self.total_steps // self.recipe.epochs

    @property
    def epochs(self) -> int:
        """Whole passes over the training images."""
        return self.recipe.epochs * self.steps // self.total_steps


def load_reported_run(folder: Path) -> ReportedRun:
    """Read a run out of its folder.

    Raises:
        TrainingError: there is no usable checkpoint, or something else than Deep InfoMax was trained.
    """
    state = checkpoint.load(folder)
    recipe = Recipe.model_validate_json(state["recipe"])
    learner = Learner(recipe)
    try:
        # Older runs have fewer statistics; those start as what they stand for.
        learner.load_state_dict({**learner.state_dict(), **state["learner"]})
    except RuntimeError as error:
        raise TrainingError(
            f"The checkpoint in {folder} holds another model than its recipe describes, so there is nothing "
            "to report; name the folder of an `infomax train` run."
        ) from error
    steps, total, seconds = state["step"], state["total_steps"], state["seconds"]
    return ReportedRun(folder, recipe, learner.eval(), steps, total, seconds, read_points(folder))
