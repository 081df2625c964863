"""From single classifiers to what pretraining is worth with each number of labels."""

import statistics
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from training.experiments.utility.cells import METHODS, PRETRAINED, Method, UtilityCell
from training.experiments.utility.equivalent import Equivalent, equivalent_labels

_Accuracies = dict[tuple[int, int, Method], float]


class _FrozenModel(BaseModel):
    model_config = ConfigDict(frozen=True)


class MeanAndDeviation(_FrozenModel):
    """An accuracy over the seeds: mean and sample standard deviation, which one seed does not have."""

    mean: float
    deviation: float | None


class Worth(_FrozenModel):
    """Worth of pretraining with n labels.

    Attributes:
        equivalent: labels that training from scratch needs for the same mean accuracy.
        utility: U(n), or the limit of it where `equivalent` is one.
        by_seed: the equivalent of every seed by its own curve from scratch; their range is the error bar.
    """

    equivalent: Equivalent
    utility: float
    by_seed: tuple[Equivalent, ...]


class Point(_FrozenModel):
    """Everything about one number of labels.

    Attributes:
        labels: n.
        accuracy: over the seeds, by method.
        worth: of the pretrained encoder, by the way it is used.
    """

    labels: int
    accuracy: dict[Method, MeanAndDeviation]
    worth: dict[Method, Worth]


def points(cells: Sequence[UtilityCell]) -> tuple[Point, ...]:
    """Compute mean, deviation and worth for each number of labels, ascending.

    A number of labels counts once its first seed is complete, and all points are of the same seeds: those
    that are complete for each of them. So a curve that is still being measured can be read.
    """
    measured: _Accuracies = {(cell.labels, cell.seed, cell.method): cell.accuracy for cell in cells}

    def complete(count: int, seed: int) -> bool:
        return all((count, seed, method) in measured for method in METHODS)

    counts = [count for count in sorted({cell.labels for cell in cells}) if complete(count, 0)]
    seeds = [s for s in sorted({cell.seed for cell in cells}) if all(complete(n, s) for n in counts)]
    return tuple(_point(measured, count, counts, seeds) for count in counts)


def _point(measured: _Accuracies, count: int, counts: Sequence[int], seeds: Sequence[int]) -> Point:
    scratch = [_spread(measured, n, seeds, "scratch").mean for n in counts]
    accuracy = {method: _spread(measured, count, seeds, method) for method in METHODS}
    worth = {}
    for method in PRETRAINED:
        equivalent = equivalent_labels(counts, scratch, accuracy[method].mean)
        by_seed = tuple(
            equivalent_labels(
                counts, [measured[n, seed, "scratch"] for n in counts], measured[count, seed, method]
            )
            for seed in seeds
        )
        worth[method] = Worth(equivalent=equivalent, utility=equivalent.utility(count), by_seed=by_seed)
    return Point(labels=count, accuracy=accuracy, worth=worth)


def _spread(measured: _Accuracies, count: int, seeds: Sequence[int], method: Method) -> MeanAndDeviation:
    values = [measured[count, seed, method] for seed in seeds]
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return MeanAndDeviation(mean=statistics.fmean(values), deviation=deviation)
