"""The table of accuracies: every classifier on every layer above what needs no encoder."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from training.report.evidence import Evidence

_TITLES = {
    "linear": "linear classifier on {}",
    "knn": "20 nearest neighbours on {}",
    "svm": "linear SVM on {}",
    "nonlinear": "non-linear classifier on {}",
}


class AccuracyBar(NamedTuple):
    """One line of the table."""

    name: str
    accuracy: float
    kind: Literal["", "best", "floor"]


def bars(evidence: Evidence) -> Iterator[AccuracyBar]:
    """List the best first, then what any encoder has to beat; nothing without labels."""
    quality = evidence.quality
    if not quality.scores or quality.majority is None or evidence.pixel_accuracy is None:
        return
    scores = sorted(quality.scores, key=lambda score: -score.accuracy)
    for score in scores:
        name = _TITLES[score.probe].format(score.layer)
        yield AccuracyBar(name, score.accuracy, "best" if score is scores[0] else "")
    yield AccuracyBar("20 nearest neighbours on raw pixels", evidence.pixel_accuracy, "floor")
    yield AccuracyBar("always the most frequent class", quality.majority, "floor")
