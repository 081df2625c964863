"""Which images keep their labels: class-balanced, nested, fixed by a seed."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.errors import TrainingError

# The linear probe holds a tenth of the labels out, which has to be an image at least.
FEWEST = 10
_START = 50
_COUNTS = 6


def labelled_rows(labels: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """Draw `count` rows with the classes as equally frequent as possible.

    A class that has fewer images than its share gives all of them, and the others make up for it. Subsets of
    one seed are nested: the first 50 of 100 labels are those of the subset of 50. So other images at each
    point do not make the curve over the number of labels rough.

    Args:
        labels: int64 [N], the class of every image.
        count: at most N.
        seed: of the draw.

    Returns:
        int64 [count], ascending.
    """
    generator = np.random.default_rng(seed)
    shuffled = generator.permutation(len(labels))
    # The classes take turns: all first images come before all second ones, in a random order of the classes.
    turn = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        mine = np.flatnonzero(labels[shuffled] == label)
        turn[mine] = np.arange(len(mine))
    order = shuffled[np.lexsort((generator.permutation(len(labels)), turn))]
    return np.sort(order[:count])


def default_label_counts(total: int, classes: int) -> tuple[int, ...]:
    """Choose up to six numbers of labels in about equal ratios, from 50 to `total`, of two leading digits."""
    first = max(_START, FEWEST, classes)
    if total <= first:
        return (total,)
    steps = np.geomspace(first, total, _COUNTS)[:-1]
    return tuple(sorted({int(float(f"{step:.2g}")) for step in steps} | {first, total}))


def check_label_counts(counts: Sequence[int], labels: NDArray[np.int64]) -> None:
    """Refuse numbers of labels that no subset can have.

    Raises:
        TrainingError: a number is below the classes or above the images.
    """
    classes = len(np.unique(labels))
    for count in counts:
        if count < classes:
            raise TrainingError(
                f"{count} labels are fewer than the {classes} classes, so one would have no image; "
                f"ask for at least {max(classes, FEWEST)}."
            )
        if count < FEWEST:
            raise TrainingError(
                f"{count} labels are too few to hold a tenth of them out; ask for at least {FEWEST}."
            )
        if count > len(labels):
            raise TrainingError(
                f"{count} labels are more than the {len(labels)} training images; ask for no more than these."
            )
