"""Parts of a training step, timed in turn."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from bench.training.results import Timing

# Enough for batches to differ, few enough to make at once.
_BATCHES = 8

Clock = Callable[[], float]
CLOCKS: dict[str, Clock] = {"wall": time.perf_counter, "cpu": time.process_time}


@dataclass(frozen=True)
class Parts:
    """Timed parts of one training.

    Attributes:
        name: name of the recipe, or of the implementation.
        images: images of one step.
        bare: forward and backward pass of the encoder alone, on as many images as a step encodes.
        step: one whole step.
        fetch: fetches one batch of images.
    """

    name: str
    images: int
    bare: Callable[[], object]
    step: Callable[[], object]
    fetch: Callable[[], object]


class Contest:
    """Comparison of a whole step, its bare encoder and the loader alone, on the same images.

    Args:
        parts: the timed parts.
        device: device that computes them.
        clock: name of one of CLOCKS.
    """

    def __init__(self, parts: Parts, device: torch.device, clock: str) -> None:
        self.name = parts.name
        self._parts = parts
        self._device = device
        self._clock = CLOCKS[clock]

    def warm_up(self) -> None:
        """Run every part once, for its memory and its compilation."""
        self._parts.bare()
        self._parts.step()

    def round(self, repetition: int, steps: int) -> Timing:
        """Time every part `steps` times in turn, so that disturbances meet all alike."""
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
    """Make batches of random images, uint8 [N, side, side, 3]; their content does not change the times."""
    shape = (_BATCHES * batch_size, side, side, 3)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=Generator().manual_seed(seed))
