"""The encoder that a run has trained, read out of its checkpoint."""

from dataclasses import dataclass
from pathlib import Path

import torch

from training.data import ImageSet, set_aside
from training.errors import TrainingError
from training.loop import checkpoint
from training.loop.provenance import Provenance
from training.model.encoders import Encoder, build_encoder
from training.recipe import Recipe
from training.system.hardware import hardware


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

    def split(self, images: ImageSet) -> tuple[ImageSet, ImageSet]:
        """Split the images as the run did: those it was trained on, and those it validated with.

        Raises:
            TrainingError: the run was made of other images. Where it has no record of them, their number
                has to be right.
        """
        self._check(images)
        trained, validation = set_aside.fitted_and_validation(images, self.recipe)
        steps = self.recipe.epochs * (len(trained) // self.recipe.batch_size)
        if steps != self.total_steps:
            raise TrainingError(
                f"{len(images)} training images would make {steps} steps, the run has {self.total_steps}; "
                "name the images that it was trained on."
            )
        return trained, validation

    def seen(self, images: ImageSet) -> ImageSet:
        """Take all images of the run but those that it set aside."""
        return set_aside.seen(images, self.recipe)

    def held_out(self, images: ImageSet) -> ImageSet:
        """Take the images that the run set aside, without those that equal others.

        Raises:
            TrainingError: the run was made of other images.
            DataError: it set none aside.
        """
        self._check(images)
        return set_aside.held_out(images, self.recipe)

    def _check(self, images: ImageSet) -> None:
        made_of, given = self.provenance.images if self.provenance else "", images.sha256()
        if made_of and made_of != given:
            raise TrainingError(
                f"The {len(images)} training images are not those that the run was made of (SHA-256 "
                f"{given[:12]}… instead of {made_of[:12]}…); name the same images in the same order."
            )


def load_run(folder: Path) -> TrainedEncoder:
    """Read the encoder out of a run's checkpoint.

    Raises:
        TrainingError: there is no usable checkpoint.
    """
    state = checkpoint.load(folder)
    recipe = Recipe.model_validate_json(state["recipe"])
    encoder = build_encoder(recipe.encoder, recipe.input_size)
    prefix = "encoder."
    weights = {k.removeprefix(prefix): v for k, v in state["learner"].items() if k.startswith(prefix)}
    encoder.load_state_dict(weights)
    made = state.get("provenance")
    return TrainedEncoder(
        encoder.eval(),
        recipe,
        state["step"],
        state["total_steps"],
        state["seconds"],
        None if made is None else Provenance(**made),
    )
