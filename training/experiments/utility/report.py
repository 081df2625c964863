"""The curve in words: a table, and one sentence that says what pretraining is worth."""

from contract.table import print_table
from training.experiments.utility.cells import METHODS, PRETRAINED, TITLES
from training.experiments.utility.curve import UtilityCurve
from training.experiments.utility.equivalent import Equivalent
from training.experiments.utility.points import MeanAndDeviation, Point, Worth

_SIGNS = {"exactly": "", "more than": "> ", "fewer than": "< "}
_WORDS = {"exactly": "", "more than": "more than ", "fewer than": "less than "}


def show(curve: UtilityCurve) -> None:
    """Print accuracies and utilities for each number of labels."""
    head = ("labels", *(TITLES[m] for m in METHODS), *(f"U {TITLES[m]}" for m in PRETRAINED))
    print_table(head, [_row(point) for point in curve.points])


def _row(point: Point) -> tuple[str, ...]:
    accuracies = (_percent(point.accuracy[method]) for method in METHODS)
    utilities = (_utility(point.worth[method], point.labels) for method in PRETRAINED)
    return (f"{point.labels}", *accuracies, *utilities)


def _percent(spread: MeanAndDeviation) -> str:
    deviation = "" if spread.deviation is None else f" ± {100 * spread.deviation:.1f}"
    return f"{100 * spread.mean:.1f}{deviation} %"


def _utility(worth: Worth, given: int) -> str:
    """Return U(n), with its range over the seeds."""
    each = sorted((one.utility(given), _SIGNS[one.bound]) for one in worth.by_seed)
    (low, low_sign), (high, high_sign) = each[0], each[-1]
    text = f"{_SIGNS[worth.equivalent.bound]}{worth.utility:.2f}"
    return text if len(each) == 1 else f"{text} ({low_sign}{low:.2f} to {high_sign}{high:.2f})"


def sentence(curve: UtilityCurve) -> str:
    """Say what pretraining is worth with the fewest labels measured, where it matters most."""
    point = curve.points[0]
    worths = [f"{_times(point.worth[m].equivalent, point.labels)} with {_USES[m]}" for m in PRETRAINED]
    return f"With {point.labels} labels pretraining is worth {' and '.join(worths)}."


_USES = {"fine_tuned": "fine-tuning", "linear": "a linear probe"}


def _times(equivalent: Equivalent, given: int) -> str:
    return f"{_WORDS[equivalent.bound]}{equivalent.labels / given:.1f} times as many labels"
