"""The training loop: plain code, one function, no framework.

A run is a function of its recipe and its images: orders are drawn by (seed, epoch), everything else from one
generator whose state is in the checkpoint. So a resumed run takes the same steps as one that was never
interrupted.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from contract.progress import Progress
from training.data import ImageSet
from training.errors import TrainingError
from training.interruption import watch
from training.learner import Learner
from training.memory import ran_out
from training.metrics import MetricsLog
from training.monitor import monitor
from training.recipe import Recipe
from training.run import Run
from training.trainable import Trainable

_CHECKPOINT_SECONDS = 120.0
_LOG_EVERY = 50


@dataclass(frozen=True)
class Outcome:
    """How a call of `train` ended.

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
) -> Outcome:
    """Train by the recipe into `folder`, or go on where its checkpoint stands.

    `build` makes what is trained: Deep InfoMax, or a method that it is compared with.

    Raises:
        TrainingError: too few images, a loss that is not finite, no memory, a folder that holds another run.
    """
    torch.use_deterministic_algorithms(True)
    training, validation = images.split(recipe.validation_share, recipe.seed)
    steps_per_epoch = len(training.pixels) // recipe.batch_size
    if steps_per_epoch == 0:
        raise TrainingError(
            f"{len(training.pixels)} training images are fewer than batch_size = {recipe.batch_size}; "
            "use more images or a smaller batch."
        )
    run = Run(recipe, folder, recipe.epochs * steps_per_epoch, build)
    if resume:
        run.resume()
    else:
        run.begin()
        run.learner.encoder.set_statistics(*channel_statistics(training.pixels))
    try:
        _loop(run, training, validation, steps_per_epoch)
    except (MemoryError, RuntimeError) as error:
        if not ran_out(error):
            raise
        raise TrainingError(
            f"Memory ran out at step {run.step + 1}; lower batch_size ({recipe.batch_size}) or input_size "
            f"({recipe.input_size}), or free memory and go on with --resume."
        ) from error
    return Outcome(run.step, run.total_steps, run.seconds)


def _loop(run: Run, training: ImageSet, validation: ImageSet, steps_per_epoch: int) -> None:
    pixels = torch.from_numpy(training.pixels)
    saved_at = time.monotonic()
    with watch() as interruption, MetricsLog(run.folder, run.step) as log, Progress("training") as progress:
        while run.step < run.total_steps:
            epoch, number = divmod(run.step, steps_per_epoch)
            rows = epoch_order(run.recipe, epoch, len(pixels))[number * run.recipe.batch_size :]
            for batch in rows.split(run.recipe.batch_size)[: steps_per_epoch - number]:
                values = run.take_step(pixels[batch], batch)
                if run.step % _LOG_EVERY == 0 or run.step == run.total_steps:
                    log.write(run.step, {"epoch": run.step / steps_per_epoch, **values})
                progress.update(run.step, run.total_steps, f"epoch {epoch + 1}, loss {values['loss']:.3f}")
                if interruption.asked:
                    run.save()
                    return
                if time.monotonic() - saved_at > _CHECKPOINT_SECONDS:
                    run.save()
                    saved_at = time.monotonic()
            log.write(run.step, monitor(run.learner.encoder, training, validation))
            log.draw()
            run.save()


def epoch_order(recipe: Recipe, epoch: int, count: int) -> Tensor:
    """The order of the training images in one epoch: int64 [count], a function of seed and epoch alone."""
    return torch.randperm(count, generator=Generator().manual_seed(recipe.seed * 1_000_003 + epoch))


def channel_statistics(pixels: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each channel, float32 [3] on the scale 0..1, of uint8 [N, H, W, 3]."""
    sample = torch.from_numpy(pixels[:: max(1, len(pixels) // 10_000)].copy()).float() / 255
    return sample.mean(dim=(0, 1, 2)), sample.std(dim=(0, 1, 2))
