"""How long training takes on this machine: a run that is thrown away takes a few steps on random pixels."""

import statistics
import time
from dataclasses import replace

import numpy as np
import torch

from contract.owned_folder import OwnedFolder
from training.data import ImageSet
from training.loop.execution import Execution, prepare
from training.loop.input_statistics import fit_input
from training.loop.monitor import Monitor, most_measured
from training.loop.run import Run
from training.planning.choices import Cost
from training.recipe import Recipe

_STEPS, _MOST_SECONDS = 5, 6.0
_SHOWN = 128


def measure_cost(recipe: Recipe, fitted: int, validation: int, *, labels: bool, execution: Execution) -> Cost:
    """Time steps and the end of an epoch by the recipe.

    Args:
        recipe: what would be trained.
        fitted, validation: numbers of images.
        labels: whether the monitor has neighbours to look for.
        execution: where and how to compute; nothing is compiled for it.
    """
    prepare(execution)
    pixels = _random_images(max(recipe.batch_size, _SHOWN), recipe.input_size, labels=labels)
    with OwnedFolder("infomax-measured-") as folder:
        run = Run(recipe, folder.path, 1000, execution=replace(execution, compiled=False))
        fit_input(run.learner.encoder, pixels.pixels, recipe)
        batch = torch.from_numpy(pixels.pixels[: recipe.batch_size])
        # The first step allocates what the others find.
        run.take_step(batch)
        steps: list[float] = []
        while len(steps) < _STEPS and sum(steps) < _MOST_SECONDS:
            started = time.monotonic()
            run.take_step(batch)
            steps.append(time.monotonic() - started)
        started = time.monotonic()
        run.save()
        saving = time.monotonic() - started
        shown = pixels.take(np.arange(_SHOWN))
        started = time.monotonic()
        Monitor(run.learner.encoder, shown, shown, recipe).measure()
        encoded, wanted = (
            most_measured(recipe, *counts, labels=labels)
            for counts in ((_SHOWN, _SHOWN), (fitted, validation))
        )
        looking = (time.monotonic() - started) * wanted / encoded
    return Cost(statistics.median(steps), saving + looking)


def _random_images(count: int, side: int, *, labels: bool) -> ImageSet:
    draw = np.random.default_rng(0)
    return ImageSet(
        pixels=draw.integers(0, 256, (count, side, side, 3), np.uint8),
        labels=draw.integers(0, 2, count) if labels else None,
        class_names=("0", "1") if labels else (),
        names=tuple(map(str, range(count))),
    )
