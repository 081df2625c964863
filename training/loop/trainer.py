"""The training loop: plain code, one function, no framework.

A run is a function of its recipe and its images: orders are drawn by (seed, epoch), everything else from one
generator whose state is in the checkpoint. So a resumed run takes the same steps as one that was never
interrupted.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Generator, Tensor

from contract.progress import Progress
from training.data import ImageSet
from training.data.image_set import split_rows
from training.distributed import ranks
from training.errors import TrainingError
from training.loop.execution import Execution, prepare
from training.loop.initial_weights import initialise, read_weights
from training.loop.input_statistics import fit_input
from training.loop.monitor import Monitor
from training.loop.run import Run
from training.loop.run_log import RunLog
from training.loop.trunk_maps import compute_trunk_maps
from training.model.learner import Learner
from training.model.trainable import Trainable
from training.recipe import Recipe
from training.system.out_of_memory import ran_out
from training.system.signals import Interruption, watch

logger = logging.getLogger(__name__)

_CHECKPOINT_SECONDS = 120.0


@dataclass(frozen=True)
class TrainingResult:
    """Result of a call of `train`.

    Attributes:
        step, total_steps: steps taken, and steps that the recipe asks for.
        seconds: time spent in steps, over all resumptions.
    """

    step: int
    total_steps: int
    seconds: float

    @property
    def finished(self) -> bool:
        """False when SIGINT or SIGTERM asked the run to stop."""
        return self.step == self.total_steps


def train(
    recipe: Recipe,
    images: ImageSet,
    folder: Path,
    *,
    resume: bool,
    build: Callable[[Recipe], Trainable] = Learner,
    execution: Execution = Execution(),
    init: Path | None = None,
) -> TrainingResult:
    """Train by the recipe into `folder`, or go on where its checkpoint stands.

    Several ranks (training/distributed/ranks.py) train together when each calls this with the same arguments.

    Args:
        recipe: what to train and how.
        images: all that there are; the recipe's validation share is taken out of them.
        folder: of the run.
        resume: go on from its checkpoint.
        build: makes what is trained: Deep InfoMax, or a method that it is compared with.
        execution: where and how to compute.
        init: weights that a new run starts from (training/loop/initial_weights.py).

    Raises:
        TrainingError: too few images, a loss that is not finite, no memory, a folder that holds another run.
    """
    prepare(execution)
    steps_per_epoch = check_batches(recipe, len(images))
    training, validation = images.split(recipe.validation_share, recipe.seed)
    run = Run(recipe, folder, recipe.epochs * steps_per_epoch, build, execution, images.sha256())
    if resume:
        run.resume()
    else:
        with ranks.first_before_others():
            if ranks.first():
                run.begin()
        fit_input(run.learner.encoder, training.pixels, recipe)
        if init is not None:
            start = initialise(run.learner.encoder, read_weights(init), init)
            logger.warning("%s: %s", init, start)
    try:
        _loop(run, training, validation, steps_per_epoch)
    except (MemoryError, RuntimeError) as error:
        if not ran_out(error):
            raise
        raise TrainingError(
            f"Memory ran out at step {run.step + 1}; lower batch_size ({recipe.batch_size}) or input_size "
            f"({recipe.input_size}), or free memory and go on with --resume."
        ) from error
    return TrainingResult(run.step, run.total_steps, run.seconds)


def check_batches(recipe: Recipe, count: int) -> int:
    """Count the steps of an epoch on `count` images, the recipe's validation share among them.

    Raises:
        DataError: nothing would be left to train on, or to validate with.
        TrainingError: they do not fill one batch, or the ranks cannot share it evenly.
    """
    _, kept = split_rows(count, recipe.validation_share, recipe.seed)
    if len(kept) < recipe.batch_size:
        raise TrainingError(
            f"{len(kept)} training images are fewer than batch_size = {recipe.batch_size}; "
            "use more images or a smaller batch."
        )
    if recipe.batch_size % ranks.count():
        raise TrainingError(
            f"batch_size = {recipe.batch_size} cannot be shared evenly by {ranks.count()} processes; "
            f"make it a multiple of {ranks.count()}, or start another number."
        )
    return len(kept) // recipe.batch_size


def _loop(run: Run, training: ImageSet, validation: ImageSet, steps_per_epoch: int) -> None:
    record = RunLog(run.folder, run.step, run.total_steps, steps_per_epoch)
    # torchrun passes a signal on that the terminal has sent to all ranks: the second one means nothing new.
    with watch(tolerate_repeats=ranks.count() > 1) as interruption:
        if run.recipe.trunk_copies is not None and not _prepare_trunk_maps(run, training, interruption):
            return
        with record:
            _take_steps(run, training, validation, steps_per_epoch, interruption, record)


def _prepare_trunk_maps(run: Run, training: ImageSet, interruption: Interruption) -> bool:
    """Compute the maps of a frozen trunk; False where a signal asked to stop."""
    if run.step == 0:
        # From here on the run can be resumed.
        run.save()
    with ranks.first_before_others(), Progress("maps of the frozen trunk") as progress:

        def go_on(done: int, total: int) -> bool:
            progress.update(done, total, "views")
            return not interruption.requested

        run.trunk_maps = compute_trunk_maps(run.learner.encoder, training, run.recipe, run.folder, go_on)
    return run.trunk_maps is not None


def _take_steps(
    run: Run,
    training: ImageSet,
    validation: ImageSet,
    steps_per_epoch: int,
    interruption: Interruption,
    record: RunLog,
) -> None:
    pixels = torch.from_numpy(training.pixels_for_crops)
    monitor = Monitor(run.learner.encoder, training, validation, run.recipe.seed) if ranks.first() else None
    saved_at = time.monotonic()
    while run.step < run.total_steps:
        epoch, number = divmod(run.step, steps_per_epoch)
        rows = epoch_order(run.recipe, epoch, len(pixels))[number * run.recipe.batch_size :]
        for batch in rows.split(run.recipe.batch_size)[: steps_per_epoch - number]:
            own = ranks.share(batch)
            record.stepped(run.step + 1, run.take_step(pixels[own], own))
            if ranks.any_of(interruption.requested):
                run.save()
                return
            if time.monotonic() - saved_at > _CHECKPOINT_SECONDS:
                run.save()
                saved_at = time.monotonic()
        if monitor is not None:
            record.measured(run.step, monitor.measure())
        run.save()
    if run.trunk_maps is not None and ranks.first():
        run.trunk_maps.close()


def epoch_order(recipe: Recipe, epoch: int, count: int) -> Tensor:
    """Draw the order of the training images in one epoch, int64 [count], by seed and epoch alone."""
    return torch.randperm(count, generator=Generator().manual_seed(recipe.seed * 1_000_003 + epoch))
