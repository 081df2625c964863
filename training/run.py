"""One training run: the state that a step changes, and how it is begun, stepped, saved and resumed."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor

from training import checkpoint
from training.errors import TrainingError
from training.learner import Learner
from training.recipe import OptimiserRecipe, Recipe
from training.trainable import Trainable
from training.views import random_views, to_unit

RECIPE_FILE = "recipe.json"


class Run:
    """The learner, its optimiser and the one source of randomness, at some step.

    Args:
        recipe: what to train and how.
        folder: of the run.
        total_steps: steps after which it is finished.
        build: makes what is trained; the seed is set before.

    Attributes:
        step: steps taken so far.
        seconds: time spent in steps so far, over all resumptions.
    """

    def __init__(
        self, recipe: Recipe, folder: Path, total_steps: int, build: Callable[[Recipe], Trainable] = Learner
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.folder = folder
        self.total_steps = total_steps
        self.step = 0
        self.seconds = 0.0
        self.learner = build(recipe)
        self.learner.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
        self._optimiser = adamw(self.learner.minimised(), recipe.optimiser)
        adversary = self.learner.adversary()
        self._adversary_optimiser = adamw(adversary, recipe.optimiser) if adversary else None
        self._generator = Generator().manual_seed(recipe.seed)

    def begin(self) -> None:
        """Claim the folder for a new run.

        Raises:
            TrainingError: it already holds one.
        """
        if (self.folder / RECIPE_FILE).exists():
            raise TrainingError(
                f"{self.folder} already holds a run; go on with --resume or name another folder."
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / RECIPE_FILE).write_text(self.recipe.model_dump_json(indent=2) + "\n")

    def resume(self) -> None:
        """Continue where the folder's checkpoint stands.

        Raises:
            TrainingError: there is no usable checkpoint, or it belongs to another recipe.
        """
        state = checkpoint.load(self.folder)
        if state["recipe"] != self.recipe.model_dump_json():
            raise TrainingError(
                f"The checkpoint in {self.folder} was made by another recipe; resume with that one."
            )
        self.learner.load_state_dict(state["learner"])
        for optimiser, saved in zip(self._optimisers(), state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self._generator.set_state(state["generator"])
        self.step, self.seconds = state["step"], state["seconds"]

    def save(self) -> None:
        """Write a checkpoint that `resume` continues from bit for bit."""
        state: dict[str, Any] = {
            "recipe": self.recipe.model_dump_json(),
            "learner": self.learner.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self._optimisers()],
            "generator": self._generator.get_state(),
            "step": self.step,
            "total_steps": self.total_steps,
            "seconds": self.seconds,
        }
        checkpoint.save(self.folder, state)

    def take_step(self, images: Tensor, rows: Tensor | None = None) -> dict[str, float]:
        """One update from uint8 images [B, H, W, 3]; returns the loss and its terms.

        Args:
            images: of one batch.
            rows: int64 [B], their places among the training images; absent where these do not matter.

        Raises:
            TrainingError: the loss is not finite.
        """
        started = time.monotonic()
        rate = learning_rate(self.recipe.optimiser, self.step, self.total_steps)
        for optimiser in self._optimisers():
            for group in optimiser.param_groups:
                group["lr"] = rate
        loss, terms, codes = self.learner(self._views(images), self._generator, rows)
        if not math.isfinite(loss.item()):
            raise TrainingError(
                f"The loss is {loss.item()} at step {self.step + 1} (learning rate {rate:.2g}); lower "
                "optimiser.learning_rate and go on from the last checkpoint with --resume."
            )
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self._optimiser.step()
        if self._adversary_optimiser is not None:
            terms |= self._adversary_step(self._adversary_optimiser, codes)
        self.step += 1
        self.seconds += time.monotonic() - started
        return {"loss": loss.item(), **terms, "learning_rate": rate}

    def _views(self, images: Tensor) -> tuple[Tensor, ...]:
        if self.recipe.augmentation is None:
            return (to_unit(images).contiguous(memory_format=torch.channels_last),)
        return tuple(
            random_views(images, self.recipe.augmentation, self._generator) for _ in range(self.recipe.views)
        )

    def _adversary_step(self, optimiser: torch.optim.Optimizer, codes: Tensor) -> dict[str, float]:
        loss, values = self.learner.adversary_loss(codes, self._generator)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        return values

    def _optimisers(self) -> list[torch.optim.Optimizer]:
        both = (self._optimiser, self._adversary_optimiser)
        return [optimiser for optimiser in both if optimiser is not None]


def learning_rate(recipe: OptimiserRecipe, step: int, total_steps: int) -> float:
    """Linear warm-up, then a cosine to 0 at the last step (Loshchilov and Hutter 2017)."""
    warmup = max(1, round(recipe.warmup_share * total_steps))
    if step < warmup:
        return recipe.learning_rate * (step + 1) / warmup
    share = (step - warmup) / max(1, total_steps - warmup)
    return recipe.learning_rate * (1 + math.cos(math.pi * share)) / 2


def adamw(parameters: list[torch.nn.Parameter], recipe: OptimiserRecipe) -> torch.optim.AdamW:
    """AdamW that leaves biases and normalisation undecayed."""
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.95), fused=True)
