"""One method, trained for a number of processor seconds and measured like all others."""

import tempfile
import time
from itertools import count
from pathlib import Path

import torch

from bench.training.peers.methods import Build
from bench.training.peers.results import Score
from training.data import ImageSet
from training.data.set_aside import fitted_and_validation
from training.evaluation.probes import fit_linear, knn_accuracy
from training.export.embedding_graph import embedded, frozen_graph
from training.loop.execution import Execution
from training.loop.input_statistics import fit_input
from training.loop.run import Run
from training.loop.trainer import epoch_order
from training.model.encoders import Encoder
from training.recipe import Recipe

# Of a schedule before the first step is timed.
_FIRST_GUESS = 1_000


def contest(
    method: str, build: Build, recipe: Recipe, images: ImageSet, seconds: float, execution: Execution
) -> Score:
    """Train by the recipe until the processor time is used, and measure on the recipe's validation images.

    Args:
        method: its name.
        build: makes what is trained.
        recipe: of encoder, views, batches and optimiser.
        images: labelled.
        seconds: of processor time, of whole steps: views, passes, loss and optimiser.
        execution: where and in which precision to train.

    Raises:
        TrainingError: the loss is not finite.
    """
    training, validation = fitted_and_validation(images, recipe)
    run = Run(recipe, Path(tempfile.gettempdir()), _FIRST_GUESS, build, execution)
    fit_input(run.learner.encoder, training.pixels, recipe)
    used, seen = _train(run, training, seconds)
    figures = _measured(run.learner.encoder, recipe, training, validation)
    return Score(
        method=method,
        seed=recipe.seed,
        recipe=recipe.model_dump_json(),
        images=len(images),
        budget=seconds,
        precision=execution.precision,
        steps=run.step,
        passes=seen / len(training),
        processor_seconds=used,
        **figures,
    )


def _train(run: Run, training: ImageSet, seconds: float) -> tuple[float, int]:
    """Take steps; the schedule follows the time that is used. Returns seconds and passed images."""
    pixels, batch_size = training.pixels_for_crops, run.recipe.batch_size
    used = 0.0
    for epoch in count():
        order = epoch_order(run.recipe, epoch, len(pixels))
        for rows in order.split(batch_size)[: len(pixels) // batch_size]:
            started = time.process_time()
            run.take_step(torch.from_numpy(pixels[rows.numpy()]), rows)
            used += time.process_time() - started
            if used >= seconds:
                return used, run.step * batch_size
            # The share of the schedule is that of the time.
            run.total_steps = max(run.step + 1, round(run.step * seconds / used))
    raise AssertionError("epochs do not end")


def _measured(encoder: Encoder, recipe: Recipe, known: ImageSet, asked: ImageSet) -> dict[str, float]:
    """Fit probes on training images, and measure them on others."""
    assert known.labels is not None
    assert asked.labels is not None
    labels, truth = torch.from_numpy(known.labels), torch.from_numpy(asked.labels)
    frozen = frozen_graph(embedded(encoder.eval(), "fc", known, recipe.seed))
    bank, queries = frozen.layers(known.pixels), frozen.layers(asked.pixels)

    def linear(layer: str) -> float:
        probe = fit_linear(bank[layer], labels, len(known.class_names), recipe.seed, f"linear {layer}")
        return probe.accuracy(queries[layer], truth)

    return {
        "linear_conv": linear("conv"),
        "linear_fc": linear("fc"),
        "neighbours": knn_accuracy(bank["embedding"], labels, queries["embedding"], truth),
    }
