"""Training step of one of our recipes."""

import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import torch
from torch import Generator, Tensor

from bench.training.measure import Parts, random_images
from training.loop.execution import Execution
from training.loop.run import Run
from training.loop.trainer import epoch_order
from training.recipe import Recipe


def our_parts(recipe: Recipe, execution: Execution) -> Parts:
    """Make the step of `infomax train`, and its encoder in plain PyTorch on ready views."""
    pixels = random_images(recipe.batch_size, recipe.input_size, recipe.seed)
    batches = _batches(recipe, pixels)
    generator = Generator().manual_seed(recipe.seed)
    size = recipe.view_size(0.0)  # the run below stays at its beginning
    shape = (recipe.views * recipe.batch_size, 3, size, size)
    encoded = torch.rand(shape, generator=generator).to(execution.device)
    encoded = encoded.contiguous(memory_format=torch.channels_last)
    nowhere = Path(tempfile.gettempdir())
    run = Run(recipe, nowhere, 1_000_000, execution=execution)
    encoder = Run(recipe, nowhere, 1, execution=execution).learner.encoder

    def bare() -> None:
        encoder.zero_grad(set_to_none=True)
        with execution.autocast():
            code = encoder(encoded).code
        code.float().square().mean().backward()

    return Parts(
        name=recipe.name,
        images=recipe.batch_size,
        bare=bare,
        step=lambda: run.take_step(next(batches)),
        fetch=lambda: execution.send(next(batches)),
    )


def _batches(recipe: Recipe, pixels: Tensor) -> Iterator[Tensor]:
    """Draw batches as a run does, epoch after epoch."""
    for epoch in count():
        for rows in epoch_order(recipe, epoch, len(pixels)).split(recipe.batch_size):
            yield pixels[rows]
