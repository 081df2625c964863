"""One experiment from images to a result: train, or go on training, then probe."""

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from training.data import ImageSet
from training.data.set_aside import fitted_and_validation
from training.experiments.reproduce import result
from training.experiments.reproduce.budget import Budget
from training.experiments.reproduce.experiments import Build, Experiment, encoder_of
from training.experiments.reproduce.probing import probe
from training.experiments.reproduce.result import Result, Score
from training.loop.execution import choose
from training.loop.input_statistics import channel_statistics
from training.loop.resume import train_or_resume
from training.model.encoders import Encoder
from training.model.trainable import Trainable
from training.recipe import Recipe
from training.system.hardware import hardware
from training.system.signals import Interruption

RUNS = "runs"


@dataclass(frozen=True)
class ExperimentImages:
    """Images that all experiments of a comparison read.

    Attributes:
        training: the budget's share of the labelled training images.
        test: images that are read once by each classifier.
    """

    training: ImageSet
    test: ImageSet


def run(
    experiment: Experiment, budget: Budget, images: ExperimentImages, out: Path, interruption: Interruption
) -> None:
    """Finish an experiment and write its result as `<out>/<name>.json`, or stop where it can go on.

    A signal that stopped the training is passed on in `interruption`.

    Raises:
        TrainingError: the loss is not finite, or there are too few images.
    """
    recipe = experiment.recipe(budget)
    encoder, training_seconds = _encoder(experiment, recipe, budget, images.training, out)
    if encoder is None:
        interruption.requested = True
        return
    started = time.monotonic()
    scores: list[Score] = []
    for score in probe(encoder, images.training, images.test, budget.seed):
        scores.append(score)
        if interruption.requested:
            return
    found = Result(
        name=experiment.name,
        command=budget.command(experiment.name, out),
        budget=budget,
        hardware=hardware(),
        training_seconds=training_seconds,
        probing_seconds=time.monotonic() - started,
        test_images=len(images.test),
        scores=tuple(scores),
    )
    result.write(out, found)


def _encoder(
    experiment: Experiment, recipe: Recipe, budget: Budget, images: ImageSet, out: Path
) -> tuple[Encoder | None, float]:
    """Train the encoder, and return it with the seconds that it took; None when a signal stopped it."""
    training, _ = fitted_and_validation(images, recipe)
    if experiment.build is None:
        torch.manual_seed(recipe.seed)
        encoder = encoder_of(recipe)
        encoder.set_statistics(*channel_statistics(training.pixels, recipe.seed))
        return encoder.eval(), 0.0
    assert training.labels is not None  # noqa: S101  (checked before anything was decoded)
    build = partial(_build, experiment.build, torch.from_numpy(training.labels))
    execution = choose("auto", budget.precision, compiled=False)
    trained = train_or_resume(recipe, images, out / RUNS / experiment.name, build, execution)
    if trained is None:
        return None, 0.0
    return trained.encoder, trained.seconds


def _build(build: Build, labels: Tensor, recipe: Recipe) -> Trainable:
    return build(recipe, labels)
