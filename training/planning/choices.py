"""What is chosen for images of one's own: plain functions of counts, sides, seconds and costs.

Epochs follow what the recipe was tried with: 200 for some thousand images, and a third of that for ten times
as many. More time never makes a choice smaller, and neither does a quicker machine.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

# Name of the encoder for each height and width: docs/decisions/023.
ENCODERS = {32: "dim32", 64: "coarse64", 96: "coarse96", 128: "coarse128"}
SIZES = tuple(ENCODERS)
# Where images are that large, patches of smaller ones would tell people little.
_LEAST_OF_LARGER = 64

_EPOCHS, _EPOCHS_FOR = 200, 3000
_FEWEST_EPOCHS, _MOST_EPOCHS = 20, 600

_BATCH, _SMALLEST_BATCH, _BATCHES_IN_EPOCH = 128, 16, 4

# Fewer leave too few to train on and to calibrate with.
FEWEST_TO_SET_ASIDE = 100
_LARGEST_PART, _USUAL_PART = 5, 10
_LEAST_SET_ASIDE, _MOST_SET_ASIDE = 50, 2000

# Epochs whose end costs time at most: training/loop/trainer.py leaves out those between.
MOST_ENDS = 100


@dataclass(frozen=True)
class Cost:
    """What training takes on this machine.

    Attributes:
        step_seconds: of one step.
        end_seconds: of the end of an epoch: figures, checkpoint, curves.
    """

    step_seconds: float
    end_seconds: float

    def seconds(self, epochs: int, steps_per_epoch: int) -> float:
        """Estimate the time of so many epochs."""
        return epochs * steps_per_epoch * self.step_seconds + min(epochs, MOST_ENDS) * self.end_seconds


def sizes_for(side: int) -> tuple[int, ...]:
    """List the heights and widths that suit images whose median shorter side this is, ascending."""
    fitting = [size for size in SIZES if size <= side] or [SIZES[0]]
    least = min(_LEAST_OF_LARGER, fitting[-1])
    return tuple(size for size in fitting if size >= least)


def count_to_set_aside(count: int) -> int:
    """Count the images to set aside of `count`: a tenth, 50 to 2,000, at most a fifth; none of too few."""
    if count < FEWEST_TO_SET_ASIDE:
        return 0
    wanted = max(_LEAST_SET_ASIDE, min(_MOST_SET_ASIDE, count // _USUAL_PART))
    return min(wanted, count // _LARGEST_PART)


def batch_size(fitted: int) -> int:
    """Choose a power of two of which `fitted` images make several in an epoch, 128 where they suffice."""
    wanted = max(_SMALLEST_BATCH, min(_BATCH, fitted // _BATCHES_IN_EPOCH))
    return 1 << (wanted.bit_length() - 1)


def full_epochs(seen: int) -> int:
    """Choose how many epochs this many images need, time permitting."""
    epochs = round(_EPOCHS * math.sqrt(_EPOCHS_FOR / max(1, seen)))
    return max(_FEWEST_EPOCHS, min(_MOST_EPOCHS, epochs))


def largest_that_fits(
    sizes: Sequence[int], seconds_left: float, seconds_of: Callable[[int], float]
) -> tuple[int, dict[int, float]]:
    """Take the largest size whose full training fits into the time, or else the smallest.

    Args:
        sizes: ascending.
        seconds_left: for training.
        seconds_of: measures a size; asked from the largest down, and no further than needed.

    Returns:
        The size, and the seconds of those that were measured.
    """
    measured: dict[int, float] = {}
    for size in reversed(sizes):
        measured[size] = seconds_of(size)
        if measured[size] <= seconds_left:
            return size, measured
    return sizes[0], measured


def epochs_that_fit(full: int, steps_per_epoch: int, cost: Cost, seconds_left: float) -> int:
    """Choose the largest number of epochs up to `full` that the time allows, at least one."""
    low, high = 1, full
    while low < high:
        middle = (low + high + 1) // 2
        if cost.seconds(middle, steps_per_epoch) <= seconds_left:
            low = middle
        else:
            high = middle - 1
    return low
