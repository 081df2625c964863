"""The table of accuracies: every classifier on every layer, beside what needs no training."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from contract.card import ProbeScore, Quality
from training.report.baselines import Baselines

_TITLES = {
    "linear": "linear classifier on {layer}",
    "knn": "{k} nearest neighbours on {layer}",
    "weighted_knn": "{k} nearest neighbours on {layer}, weighted by their cosine",
    "svm": "linear SVM on {layer}",
    "nonlinear": "non-linear classifier on {layer}",
}


class AccuracyRow(NamedTuple):
    """One line of the table; an accuracy that was not measured is None.

    Attributes:
        name: of the classifier and the layer.
        accuracy, error: on the trained encoder, with its standard error.
        untrained: on the same layer before the first step.
        pixels: of the same kind of classifier on raw pixels.
        best: whether no other classifier is more accurate.
    """

    name: str
    accuracy: float
    error: float
    untrained: float | None
    pixels: float | None
    best: bool


def accuracy_rows(quality: Quality, baselines: Baselines | None) -> Iterator[AccuracyRow]:
    """List the classifiers, the best first; nothing without labels."""
    if baselines is None:
        return
    scores = sorted(quality.scores, key=lambda score: -score.accuracy)
    for score in scores:
        yield AccuracyRow(
            _TITLES[score.probe].format(layer=score.layer, k=score.k),
            score.accuracy,
            standard_error(score.accuracy, quality.images),
            baselines.untrained_accuracy(score),
            baselines.pixels.get(score.probe),
            score is scores[0],
        )


def standard_error(accuracy: float, images: int) -> float:
    """Estimate the standard error of an accuracy on so many images.

    Two images of either outcome are added (Agresti and Coull 1998), so that all of a few images classified
    correctly do not count as certainty.
    """
    adjusted = (accuracy * images + 2) / (images + 4)
    error: float = (adjusted * (1 - adjusted) / (images + 4)) ** 0.5
    return error


def with_error(accuracy: float, images: int) -> str:
    """Write an accuracy with its standard error: `43.2 % ± 1.6`."""
    return f"{100 * accuracy:.1f} % ± {100 * standard_error(accuracy, images):.1f}"


def find(scores: Sequence[ProbeScore], probe: str, layer: str) -> ProbeScore | None:
    """Find the score of a kind of classifier on a layer."""
    return next((score for score in scores if (score.probe, score.layer) == (probe, layer)), None)
