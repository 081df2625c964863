"""The training loop: plain code, one function, no framework.

A run is a function of its recipe and its images: orders are drawn by (seed, epoch), everything else from one
generator whose state is in the checkpoint. So a resumed run takes the same steps as one that was never
interrupted.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Generator, Tensor

from contract.progress import Progress
from training.data import ImageSet
from training.data.set_aside import count_fitted_and_validation, fitted_and_validation
from training.distributed import ranks
from training.errors import DataError, TrainingError
from training.loop import checkpoint
from training.loop.execution import Execution, prepare
from training.loop.input_statistics import fit_input
from training.loop.monitor import Monitor
from training.loop.run import Run
from training.loop.run_log import RunLog
from training.loop.starting_point import StartingPoint
from training.loop.time_limit import time_limit
from training.loop.trunk_maps import compute_trunk_maps
from training.model.learner import Learner
from training.model.trainable import Trainable
from training.recipe import Recipe
from training.system.folder_lock import locked
from training.system.out_of_memory import ran_out
from training.system.signals import Interruption, watch

logger = logging.getLogger(__name__)

_CHECKPOINT_SECONDS = 120.0
# Epochs of a run after which it is measured, where it has so many.
_FEWEST_MEASURED = 50


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
    init: StartingPoint | None = None,
    stop_at: float | None = None,
) -> TrainingResult:
    """Train by the recipe into `folder`, or continue from its checkpoint.

    Several ranks (training/distributed/ranks.py) train together when each calls this with the same arguments.

    Args:
        recipe: what to train and how.
        images: all that there are; what the recipe sets aside and its validation share are taken out of them.
        folder: of the run.
        resume: continue from its checkpoint, or begin where it has none yet.
        build: makes what is trained: Deep InfoMax, or a method that it is compared with.
        execution: where and how to compute.
        init: weights that a new run starts from.
        stop_at: time on the monotonic clock after which the run stops as it does for a signal.

    Raises:
        DataError: the images are too few, or all equal.
        TrainingError: a loss that is not finite, no memory or space on the disk, a folder that holds another
            run or is held by another process.
    """
    if len(images) and images.all_equal():
        raise DataError(
            f"All {len(images)} images are equal once decoded, so there is nothing to tell apart. "
            "Name other images."
        )
    prepare(execution)
    steps_per_epoch = check_batches(recipe, len(images))
    training, validation = fitted_and_validation(images, recipe)
    run = Run(recipe, folder, recipe.epochs * steps_per_epoch, build, execution, images.sha256())
    # Before the first rank writes anything: all come to the same answer.
    resume = resume and checkpoint.exists(folder)
    ranks.wait()
    try:
        with _claimed(folder):
            _start(run, training, resume=resume, init=init)
            _loop(run, training, validation, steps_per_epoch, stop_at)
    except OSError as error:
        raise TrainingError(
            f"{error.filename or folder} cannot be written at step {run.step}: {error.strerror or error}. "
            "Free some space, then give the same command with --resume."
        ) from error
    except (MemoryError, RuntimeError) as error:
        if not ran_out(error):
            raise
        raise TrainingError(
            f"Memory ran out at step {run.step + 1}. Lower batch_size ({recipe.batch_size}) or input_size "
            f"({recipe.input_size}), or free memory and give the same command with --resume."
        ) from error
    return TrainingResult(run.step, run.total_steps, run.seconds)


@contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """Make the run's folder, and let the first rank hold it."""
    if not ranks.first():
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        yield


def _start(run: Run, training: ImageSet, *, resume: bool, init: StartingPoint | None) -> None:
    """Bring a run to where it stands: its checkpoint, or its beginning."""
    if resume:
        run.resume()
        return
    with ranks.first_before_others():
        if ranks.first():
            run.begin()
    fit_input(run.learner.encoder, training.pixels, run.recipe)
    if init is not None:
        logger.warning("%s: %s", init.source, init.apply(run.learner.encoder, training.pixels))


def check_batches(recipe: Recipe, count: int) -> int:
    """Count the steps of an epoch on `count` images, all that there are.

    Raises:
        DataError: nothing would be left to train on, or to validate with.
        TrainingError: they do not fill one batch, or the ranks cannot share it evenly.
    """
    fitted, _ = count_fitted_and_validation(count, recipe)
    if fitted < recipe.batch_size:
        raise TrainingError(
            f"{fitted} training images are fewer than batch_size = {recipe.batch_size}. "
            "Use more images, or a smaller batch_size."
        )
    if recipe.batch_size % ranks.count():
        raise TrainingError(
            f"batch_size = {recipe.batch_size} cannot be shared evenly by {ranks.count()} processes. "
            f"Make it a multiple of {ranks.count()}, or start another number."
        )
    return fitted // recipe.batch_size


def _loop(
    run: Run, training: ImageSet, validation: ImageSet, steps_per_epoch: int, stop_at: float | None
) -> None:
    record = RunLog(run.folder, run.step, run.total_steps, steps_per_epoch, run.recipe.work_done)
    # torchrun passes a signal on that the terminal has sent to all ranks: the second one means nothing new.
    minutes = None if stop_at is None else max(0.0, stop_at - time.monotonic()) / 60
    with watch(tolerate_repeats=ranks.count() > 1) as interruption, time_limit(minutes):
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
    pixels = training.pixels_for_crops
    monitor = Monitor(run.learner.encoder, training, validation, run.recipe) if ranks.first() else None
    saved_at = time.monotonic()
    while run.step < run.total_steps:
        epoch, number = divmod(run.step, steps_per_epoch)
        rows = epoch_order(run.recipe, epoch, len(pixels))[number * run.recipe.batch_size :]
        for batch in rows.split(run.recipe.batch_size)[: steps_per_epoch - number]:
            own = ranks.share(batch)
            record.stepped(run.step + 1, run.take_step(torch.from_numpy(pixels[own.numpy()]), own))
            if ranks.any_of(interruption.requested):
                run.save()
                return
            if time.monotonic() - saved_at > _CHECKPOINT_SECONDS:
                run.save()
                saved_at = time.monotonic()
        if not _ends_part(epoch + 1, run.recipe.epochs):
            continue
        if monitor is not None:
            record.measured(run.step, monitor.measure())
        run.save()
    if run.trunk_maps is not None and ranks.first():
        run.trunk_maps.close()


def _ends_part(epoch: int, epochs: int) -> bool:
    """Tell whether figures and checkpoint follow this epoch: after each, or less often in a run of many.

    Few images make epochs that are shorter than that.
    """
    return epoch % max(1, epochs // _FEWEST_MEASURED) == 0 or epoch == epochs


def epoch_order(recipe: Recipe, epoch: int, count: int) -> Tensor:
    """Draw the order of the training images in one epoch, int64 [count], by seed and epoch alone."""
    return torch.randperm(count, generator=Generator().manual_seed(recipe.seed * 1_000_003 + epoch))
