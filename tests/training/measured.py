"""A toy to measure: images of few pixels, and an encoder that is a formula."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data import ImageSet
from training.evaluation.frozen import FrozenEncoder
from training.evaluation.measures import MeasureInputs
from training.system.signals import Interruption

Pixels = NDArray[np.uint8]
Layer = Callable[[NDArray[np.float32]], NDArray[np.floating[Any]]]


def encoder(**outputs: Layer) -> FrozenEncoder:
    """An encoder whose named outputs are formulas of the pixels, float32 [B, H, W, 3] on the scale 0..1."""

    def run(pixels: Pixels, names: Sequence[str]) -> list[NDArray[np.float32]]:
        unit = (pixels / 255).astype(np.float32)
        return [outputs[name](unit).astype(np.float32) for name in names]

    return FrozenEncoder(run, tuple(outputs))


def images(pixels: Pixels, labels: NDArray[np.int64] | None = None) -> ImageSet:
    """Pixels uint8 [N, H, W, 3] as a set, with as many classes as there are labels."""
    names = tuple(str(row) for row in range(len(pixels)))
    classes = () if labels is None else tuple(f"class {c}" for c in range(int(labels.max()) + 1))
    return ImageSet(pixels, labels, classes, names)


def noise(count: int, side: int, seed: int) -> Pixels:
    """Images of independent pixels."""
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), np.uint8)


def inputs(frozen: FrozenEncoder, training: ImageSet, test: ImageSet) -> MeasureInputs:
    """All images, nothing drawn, and nobody who asks to stop."""
    return MeasureInputs(frozen, training, test, seed=0, interruption=Interruption())
