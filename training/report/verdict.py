"""The report's first sentences: whether the encoder is healthy, and what it is worth."""

from collections.abc import Sequence

from contract.card import Quality
from training.report.findings import RunFinding

_COUNTS = {1: "one thing", 2: "two things", 3: "three things", 4: "four things"}
_PROBES = {"linear": "a linear classifier", "knn": "20 nearest neighbours"}


def health(findings: Sequence[RunFinding]) -> str:
    """Sum the findings up in one sentence."""
    failures = [finding.title for finding in findings if finding.severity == "failure"]
    if failures:
        first = failures[0][0].lower() + failures[0][1:]
        return f"Do not use this encoder: {first}."
    if findings:
        count = _COUNTS.get(len(findings), f"{len(findings)} things")
        return f"The encoder is healthy, but {count} could be better."
    return "The encoder is healthy: nothing that was checked is wrong."


def worth(quality: Quality, pixel_accuracy: float | None) -> str:
    """Say in one sentence what it knows about classes, against raw pixels and against guessing."""
    if not quality.scores or pixel_accuracy is None or quality.majority is None:
        return (
            "The images have no labels, so nothing can be said about classes; look at the neighbours below, "
            "and give images in one sub-folder for each class to learn more."
        )
    best = max((s for s in quality.scores if s.probe == "linear"), key=lambda s: s.accuracy)
    served = next(s for s in quality.scores if (s.probe, s.layer) == ("knn", "embedding"))
    return (
        f"{_PROBES['linear'].capitalize()} on its layer {best.layer} names the class of "
        f"{best.accuracy:.1%} of the images it has not seen, and the {_PROBES['knn']} of its embedding of "
        f"{served.accuracy:.1%}; neighbours by raw pixels get {pixel_accuracy:.1%} right, and always "
        f"guessing the most frequent class {quality.majority:.1%}."
    )
