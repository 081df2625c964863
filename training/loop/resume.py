"""A training as one step of a longer command, which may be stopped and called again."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from training.data import ImageSet
from training.loop import checkpoint
from training.loop.execution import Execution
from training.loop.trained import TrainedEncoder, load_run
from training.loop.trainer import train
from training.model.learner import Learner
from training.model.trainable import Trainable
from training.recipe import Recipe


def train_or_resume(
    recipe: Recipe,
    images: ImageSet,
    folder: Path,
    build: Callable[[Recipe], Trainable] = Learner,
    execution: Execution = Execution(),
) -> TrainedEncoder | None:
    """Train in `folder`, or resume a call that was stopped; None when a signal stopped it again.

    Raises:
        TrainingError: the loss is not finite, or there are too few images.
    """
    resume = (folder / checkpoint.FILE).is_file()
    if not resume:
        # What a training left that was killed before its first checkpoint.
        shutil.rmtree(folder, ignore_errors=True)
    # Without labels, which the monitor would spend time on: the caller measures by probes of its own.
    unlabelled = replace(images, labels=None, class_names=())
    if not train(recipe, unlabelled, folder, resume=resume, build=build, execution=execution).finished:
        return None
    return load_run(folder)
