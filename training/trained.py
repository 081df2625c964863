"""The encoder that a run has trained, read out of its checkpoint."""

from dataclasses import dataclass
from pathlib import Path

import torch

from training import checkpoint
from training.encoders import Encoder, build_encoder
from training.hardware import hardware
from training.provenance import Provenance
from training.recipe import Recipe


@dataclass(frozen=True)
class TrainedEncoder:
    """An encoder with the record of its run.

    Attributes:
        encoder: in evaluation mode.
        recipe: of the run, complete.
        steps, total_steps: steps taken, and steps that the recipe asks for.
        seconds: time spent in steps.
        provenance: on what it was trained, and from what; None in checkpoints of before that was recorded.
    """

    encoder: Encoder
    recipe: Recipe
    steps: int
    total_steps: int
    seconds: float
    provenance: Provenance | None = None

    @property
    def hardware(self) -> str:
        """That trained it; where it is not recorded, this machine's."""
        return hardware() if self.provenance is None else self.provenance.hardware

    @property
    def torch(self) -> str:
        """Version that trained it; where it is not recorded, the one that runs."""
        return str(torch.__version__) if self.provenance is None else self.provenance.torch

    @property
    def epochs(self) -> int:
        """Whole passes over the training images."""
        return self.recipe.epochs * self.steps // self.total_steps


def load_run(folder: Path) -> TrainedEncoder:
    """Read the encoder out of a run's checkpoint.

    Raises:
        TrainingError: there is no usable checkpoint.
    """
    state = checkpoint.load(folder)
    recipe = Recipe.model_validate_json(state["recipe"])
    encoder = build_encoder(recipe.encoder.name, recipe.encoder.code_units, recipe.input_size)
    prefix = "encoder."
    weights = {k.removeprefix(prefix): v for k, v in state["learner"].items() if k.startswith(prefix)}
    # Runs of before embeddings were fitted have none; theirs only scale.
    unfitted = {name: value for name, value in encoder.state_dict().items() if "_embedding." in name}
    encoder.load_state_dict({**unfitted, **weights})
    made = state.get("provenance")
    return TrainedEncoder(
        encoder.eval(),
        recipe,
        state["step"],
        state["total_steps"],
        state["seconds"],
        None if made is None else Provenance(**made),
    )
