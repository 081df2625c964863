"""The parts of a training step, timed by turns."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from bench.training.results import Timing

# Enough that no two batches in a row are the same, few enough to make at once.
_BATCHES = 8

Clock = Callable[[], float]
CLOCKS: dict[str, Clock] = {"wall": time.perf_counter, "cpu": time.process_time}


@dataclass(frozen=True)
class Parts:
    """What is timed of one training.

    Attributes:
        name: of the recipe, or of the implementation.
        images: of one step.
        bare: forward and backward pass of its encoder alone, on as many images as a step encodes.
        step: one whole step.
        fetch: one batch of images, without doing anything with it.
    """

    name: str
    images: int
    bare: Callable[[], object]
    step: Callable[[], object]
    fetch: Callable[[], object]


class Contest:
    """One training's whole step, its bare encoder and the loader alone, on the same images.

    Args:
        parts: what is timed.
        device: that computes them.
        clock: name of one of CLOCKS.
    """

    def __init__(self, parts: Parts, device: torch.device, clock: str) -> None:
        self.name = parts.name
        self._parts = parts
        self._device = device
        self._clock = CLOCKS[clock]

    def warm_up(self) -> None:
        """Once each, so that memory is there and what is compiled is."""
        self._parts.bare()
        self._parts.step()

    def round(self, repetition: int, steps: int) -> Timing:
        """Time every part, `steps` times by turns: what disturbs the machine disturbs all alike."""
        bare = step = loader = 0.0
        for _ in range(steps):
            bare += self._timed(self._parts.bare)
            step += self._timed(self._parts.step)
            loader += self._timed(self._parts.fetch)
        return Timing(self.name, repetition, steps * self._parts.images, bare, step, loader)

    def _timed(self, work: Callable[[], object]) -> float:
        self._finish()
        started = self._clock()
        work()
        self._finish()
        return self._clock() - started

    def _finish(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize()


def random_images(batch_size: int, side: int, seed: int) -> Tensor:
    """Some batches of them, uint8 [N, side, side, 3]: what is in the images changes no time."""
    shape = (_BATCHES * batch_size, side, side, 3)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=Generator().manual_seed(seed))
