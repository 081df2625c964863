"""The parts of one recipe's training step, timed by turns."""

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Generator, Tensor

from bench.training.results import Timing
from training.execution import Execution
from training.recipe import Recipe
from training.run import Run
from training.trainer import epoch_order

# Enough that no two batches in a row are the same, few enough to make at once.
_BATCHES = 8

Clock = Callable[[], float]
CLOCKS: dict[str, Clock] = {"wall": time.perf_counter, "cpu": time.process_time}


class Contest:
    """One recipe's whole step, the bare encoder and the loader alone, on the same images.

    Args:
        recipe: what is trained; its encoder is the bare one too.
        execution: where and how both compute.
        clock: name of one of CLOCKS.
    """

    def __init__(self, recipe: Recipe, execution: Execution, clock: str) -> None:
        self._recipe = recipe
        self._execution = execution
        self._clock = CLOCKS[clock]
        generator = Generator().manual_seed(recipe.seed)
        shape = (_BATCHES * recipe.batch_size, recipe.input_size, recipe.input_size, 3)
        # What is in the images changes no time.
        self._pixels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
        self._encoded = (
            torch.rand(
                recipe.views * recipe.batch_size, 3, recipe.input_size, recipe.input_size, generator=generator
            )
            .to(execution.device)
            .contiguous(memory_format=torch.channels_last)
        )
        self._run = Run(recipe, Path(tempfile.gettempdir()), 1_000_000, execution=execution)
        self._bare = Run(recipe, Path(tempfile.gettempdir()), 1, execution=execution).learner.encoder
        self._order: Iterator[Tensor] = iter(())
        self._epoch = 0

    def warm_up(self) -> None:
        """Once each, so that memory is there and what is compiled is."""
        self._bare_pass()
        self._step()

    def round(self, repetition: int, steps: int) -> Timing:
        """Time every part, `steps` times by turns: what disturbs the machine disturbs all alike."""
        bare = step = loader = 0.0
        for _ in range(steps):
            bare += self._timed(self._bare_pass)
            step += self._timed(self._step)
            loader += self._timed(lambda: self._execution.send(self._next_batch()))
        images = steps * self._recipe.batch_size
        return Timing(self._recipe.name, repetition, images, bare, step, loader)

    def _timed(self, work: Callable[[], object]) -> float:
        self._finish()
        started = self._clock()
        work()
        self._finish()
        return self._clock() - started

    def _finish(self) -> None:
        if self._execution.device.type == "cuda":
            torch.cuda.synchronize()

    def _bare_pass(self) -> None:
        self._bare.zero_grad(set_to_none=True)
        with self._execution.autocast():
            code = self._bare(self._encoded).code
        code.float().square().mean().backward()

    def _step(self) -> None:
        self._run.take_step(self._next_batch())

    def _next_batch(self) -> Tensor:
        rows = next(self._order, None)
        if rows is None:
            order = epoch_order(self._recipe, self._epoch, len(self._pixels))
            self._epoch += 1
            self._order = iter(order.split(self._recipe.batch_size))
            rows = next(self._order)
        return self._pixels[rows]
