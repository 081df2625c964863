"""The report's first sentences: whether the encoder is healthy, and what it is worth."""

from collections.abc import Sequence

from contract.card import ProbeScore, Quality
from training.report.accuracies import find, with_error
from training.report.baselines import Baselines
from training.report.findings import RunFinding

_COUNTS = {1: "one thing", 2: "two things", 3: "three things", 4: "four things"}


def health(findings: Sequence[RunFinding]) -> str:
    """Sum the findings up in one sentence."""
    if not findings:
        return "The encoder is healthy: nothing that was checked is wrong."
    first = findings[0]
    if first.severity == "failure":
        return f"Do not use this encoder: {first.title[0].lower() + first.title[1:]}."
    if first.severity == "undecided":
        return f"{first.title}. {first.evidence}"
    count = _COUNTS.get(len(findings), f"{len(findings)} things")
    return f"The encoder is healthy, but {count} could be better."


def ordered(findings: Sequence[RunFinding]) -> tuple[RunFinding, ...]:
    """Put first what decides the verdict.

    A run that is too short fails in every way. A collapsed encoder is useless on all images. All other
    failures may be chance where the images are few.
    """
    ranks = {"undecided": 2, "failure": 3, "warning": 4}
    first = {"steps": 0, "collapse": 1}

    def rank(finding: RunFinding) -> int:
        own = ranks[finding.severity]
        return own if finding.severity == "warning" else first.get(finding.check, own)

    return tuple(sorted(findings, key=rank))


def worth(quality: Quality, baselines: Baselines | None) -> str:
    """Say what the encoder knows about classes, beside an untrained one, raw pixels and guessing."""
    if not quality.scores or baselines is None or quality.majority is None:
        return (
            "The images have no labels, so nothing can be said about classes. Look at the neighbours below, "
            "or give images in one sub-folder for each class."
        )
    best = max((s for s in quality.scores if s.probe == "linear"), key=lambda s: s.accuracy)
    served = find(quality.scores, "knn", "embedding")
    sentences = [
        f"Accuracy on {quality.images:,} held-out images, with its standard error.",
        f"Linear classifier on {best.layer}: {_figure(best, quality, baselines)}.",
    ]
    if served is not None:
        sentences.append(f"20 nearest neighbours in the embedding: {_figure(served, quality, baselines)}.")
    sentences.append(f"Always the most frequent class: {100 * quality.majority:.1f} %.")
    return " ".join(sentences)


def _figure(score: ProbeScore, quality: Quality, baselines: Baselines) -> str:
    untrained = baselines.untrained_accuracy(score)
    others = [
        f"{name} {100 * accuracy:.1f} %"
        for name, accuracy in (
            ("untrained encoder", untrained),
            ("raw pixels", baselines.pixels.get(score.probe)),
        )
        if accuracy is not None
    ]
    return f"{with_error(score.accuracy, quality.images)} ({', '.join(others)})"
