"""One training run: the state that a step changes, and how it is begun, stepped, saved and resumed."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor

from training.data.views import apply_views, draw_views, to_unit
from training.distributed import ranks
from training.distributed.sync_batch_norm import synchronise
from training.errors import TrainingError
from training.loop import checkpoint, run_files
from training.loop.execution import Execution
from training.loop.provenance import Provenance
from training.loop.resumption import check_resumable
from training.loop.trunk_maps import TrunkMaps
from training.model.encoders import Maps
from training.model.learner import Learner
from training.model.trainable import Trainable
from training.optim.optimiser import adamw, build_optimisers, rate_share, set_rates
from training.recipe import Recipe, ViewRecipe
from training.system.atomic_file import write_whole


class Run:
    """The learner, its optimiser and the one source of randomness, at some step.

    Args:
        recipe: what to train and how.
        folder: of the run.
        total_steps: steps after which it is finished.
        build: makes what is trained; the seed is set before.
        execution: where and how to compute.
        images: SHA-256 of the training images; empty when not known.

    Attributes:
        step: steps taken so far.
        seconds: time spent in steps so far, over all resumptions.
        trunk_maps: of a frozen trunk; views are then drawn from them.
        provenance: on what it is computed, and from what.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        total_steps: int,
        build: Callable[[Recipe], Trainable] = Learner,
        execution: Execution = Execution(),
        images: str = "",
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.folder = folder
        self.total_steps = total_steps
        self.step = 0
        self.seconds = 0.0
        # torch's version is a string of a class of its own, which a checkpoint is not read with.
        version = str(torch.__version__)
        self.provenance = Provenance(
            execution.describe(), version, ranks.count(), execution.precision, images
        )
        self._execution = execution
        self.learner = build(recipe)
        if ranks.count() > 1:
            synchronise(self.learner)
        self.learner.to(execution.device)
        self.learner.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
        if execution.compiled:
            self.learner.encoder.compile()
        self._minimisers = build_optimisers(self.learner.minimised(), recipe.optimiser)
        adversary = self.learner.adversary()
        self._adversary_optimiser = adamw(adversary, recipe.optimiser) if adversary else None
        self._generator = Generator().manual_seed(recipe.seed)
        self.trunk_maps: TrunkMaps | None = None

    def begin(self) -> None:
        """Claim the folder for a new run.

        A run that ended before its first checkpoint has nothing to lose, and gives way.

        Raises:
            TrainingError: the folder already holds a run.
            OSError: it cannot be written.
        """
        if checkpoint.exists(self.folder):
            raise TrainingError(
                f"{self.folder} already holds a run. Continue it with --resume, or name another folder."
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self.folder / run_files.RECIPE, self.recipe.model_dump_json(indent=2) + "\n")

    def resume(self) -> None:
        """Continue where the folder's checkpoint stands.

        Raises:
            TrainingError: there is no usable checkpoint, or it belongs to another recipe or other images.
        """
        state = checkpoint.load(self.folder)
        check_resumable(self.folder, state, self.recipe, self.provenance, self.total_steps)
        self.learner.load_state_dict(state["learner"])
        for optimiser, saved in zip(self._optimisers(), state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self._generator.set_state(state["generator"])
        self.step, self.seconds = state["step"], state["seconds"]

    def save(self) -> None:
        """Write a checkpoint that `resume` continues from bit for bit; of several ranks the first does."""
        if not ranks.first():
            return
        state: dict[str, Any] = {
            "recipe": self.recipe.model_dump_json(),
            "provenance": asdict(self.provenance),
            "learner": self.learner.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self._optimisers()],
            "generator": self._generator.get_state(),
            "step": self.step,
            "total_steps": self.total_steps,
            "seconds": self.seconds,
        }
        checkpoint.save(self.folder, state)

    def take_step(self, images: Tensor, rows: Tensor | None = None) -> dict[str, float]:
        """Update the weights once from uint8 images [B, H, W, 3].

        Args:
            images: of this rank's share of one batch.
            rows: int64 [B], their places among the training images; absent where these do not matter.

        Returns:
            The loss of the joint batch and its terms.

        Raises:
            TrainingError: the loss is not finite.
        """
        started = time.monotonic()
        share = rate_share(self.recipe.optimiser, self.step, self.total_steps)
        rate = share * self.recipe.optimiser.learning_rate
        set_rates(self._optimisers(), share)
        views = self._views(images, rows)
        with self._execution.autocast():
            loss, terms, codes = self.learner(views, self._generator, rows)
        values = ranks.average({"loss": loss.item(), **terms})
        if not math.isfinite(values["loss"]):
            raise TrainingError(
                f"The loss is {values['loss']} at step {self.step + 1} (learning rate {rate:.2g}). "
                "Train in another folder with a lower optimiser.learning_rate."
            )
        for optimiser in self._minimisers:
            optimiser.zero_grad(set_to_none=True)
        loss.backward()
        ranks.average_gradients(self.learner.minimised())
        for optimiser in self._minimisers:
            optimiser.step()
        if self._adversary_optimiser is not None:
            values |= self._adversary_step(self._adversary_optimiser, codes)
        self.step += 1
        self.seconds += time.monotonic() - started
        return {**values, "learning_rate": rate}

    def _views(self, images: Tensor, rows: Tensor | None) -> tuple[Tensor | Maps, ...]:
        if self.trunk_maps is not None and rows is not None:
            drawn = self.trunk_maps.draw(rows, self.recipe.views, self._generator)
            return tuple(Maps(*map(self._execution.send, maps)) for maps in drawn)
        images = self._execution.send(images)
        if self.recipe.augmentation is None:
            return (to_unit(images).contiguous(memory_format=torch.channels_last),)
        return tuple(self._random_view(images, self.recipe.augmentation) for _ in range(self.recipe.views))

    def _random_view(self, images: Tensor, recipe: ViewRecipe) -> Tensor:
        """Draw for the joint batch, so that the images' views do not depend on the number of ranks."""
        joint = draw_views(ranks.count() * len(images), recipe, self._generator)
        own = joint.map(lambda each: self._execution.send(ranks.share(each)))
        return apply_views(images, own, self.recipe.view_size(self.step / self.total_steps))

    def _adversary_step(self, optimiser: torch.optim.Optimizer, codes: Tensor) -> dict[str, float]:
        with self._execution.autocast():
            loss, values = self.learner.adversary_loss(codes, self._generator)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        ranks.average_gradients(self.learner.adversary())
        optimiser.step()
        return ranks.average(values)

    def _optimisers(self) -> list[torch.optim.Optimizer]:
        adversary = self._adversary_optimiser
        return [*self._minimisers, *([] if adversary is None else [adversary])]
