"""What can be wrong with a run, each rule by itself: from measurements to a plain sentence and a remedy.

The limits are rules of thumb. They are set so that runs which probe well pass and runs that were spoilt on
purpose do not (tests/training/report/test_findings.py holds both).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from training.report.accuracies import standard_error
from training.report.shape import VectorShape

# Healthy encoders use a tenth of their directions and more, even after a few epochs.
_LEAST_RANK, _LEAST_RANK_SHARE = 2.0, 0.05
_LEAST_SPREAD = 0.05
_MOST_DEAD = 0.5
# Some of the gap is there in every run: no critic was ever fitted to the held-out images.
_LEAST_KEPT, _LEAST_GAP = 0.75, 0.1
_NEAR_CAP = 0.95
# Of fewer, an accuracy of one half has a standard error of more than 7 points.
_FEWEST_TO_JUDGE = 50
# A difference of accuracies within this many standard errors may be chance.
_SURE = 2.0

# Each rule by its name, and what is true where it finds nothing.
CHECKS = {
    "collapse": "images get different vectors along many directions",
    "dead dimensions": "most dimensions are alive",
    "images": "enough held-out images to judge by",
    "pixels": "better than raw pixels",
    "untrained": "better than before its first step",
    "critic": "the critic holds for images it has not seen",
    "steps": "the loss has settled",
    "ceiling": "MI estimates are below their ceiling",
}


@dataclass(frozen=True)
class RunFinding:
    """Something that is wrong, or that figures have to be read with.

    Attributes:
        check: the rule's name in CHECKS.
        severity: a failure makes the encoder useless. Where it is undecided, run or images are too small to
            judge by. A warning says what would make the encoder better, or what a figure does not mean.
        title: the finding in a few words.
        evidence: one sentence with the values and the limit.
        remedy: one sentence with what to do.
    """

    check: str
    severity: Literal["failure", "undecided", "warning"]
    title: str
    evidence: str
    remedy: str


@dataclass(frozen=True)
class Dependence:
    """Power of a critic to tell joint pairs from independent ones, on training images and on others.

    Attributes:
        term: name of the objective's term.
        training, held_out: the bound in nats where the estimator has one, otherwise the divergence that it
            maximises.
    """

    term: str
    training: float
    held_out: float


def collapse(layer: str, shape: VectorShape) -> RunFinding | None:
    """Find vectors that are nearly the same for all images, or lie along very few directions."""
    limit = max(_LEAST_RANK, _LEAST_RANK_SHARE * shape.directions)
    if shape.spread >= _LEAST_SPREAD and shape.rank >= limit:
        return None
    if shape.spread < _LEAST_SPREAD:
        evidence = (
            f"Vectors of {layer} lie within {shape.spread:.1%} of their mean's length around it (healthy: "
            f"{_LEAST_SPREAD:.0%} and more), so that all images get nearly the same one."
        )
    else:
        evidence = (
            f"Vectors of {layer} use {shape.rank:.1f} of {shape.directions} directions (healthy: "
            f"{limit:.0f} and more), so that most differences between images are lost."
        )
    return RunFinding(
        "collapse",
        "failure",
        f"The encoder has collapsed ({layer})",
        evidence,
        'Train anew with objective.estimator = "infonce", a critic.temperature of 0.1 to 0.2 and a larger '
        "batch_size; where it was so already, lower optimiser.learning_rate.",
    )


def dead_dimensions(layer: str, shape: VectorShape) -> RunFinding | None:
    """Find dimensions that are the same for all images, where they are many."""
    if shape.dead <= _MOST_DEAD:
        return None
    return RunFinding(
        "dead dimensions",
        "warning",
        f"Most dimensions are dead ({layer})",
        f"{shape.dead:.0%} of the {len(shape.variances)} dimensions of {layer} hardly change from image to "
        f"image (healthy: {_MOST_DEAD:.0%} at most); they are stored and compared for nothing.",
        "Lower optimiser.learning_rate or optimiser.weight_decay, or choose an encoder with fewer units.",
    )


def overfitting_critic(terms: Sequence[Dependence]) -> RunFinding | None:
    """Find critics that tell training images apart far better than images they have never seen."""
    found = [
        term
        for term in terms
        if term.held_out < _LEAST_KEPT * term.training and term.training - term.held_out > _LEAST_GAP
    ]
    if not found:
        return None
    worst = min(found, key=lambda term: term.held_out / term.training)
    return RunFinding(
        "critic",
        "warning",
        "The critic knows the training images by heart",
        f"The term {worst.term} reaches {worst.training:.2f} on training images and {worst.held_out:.2f} on "
        f"held-out ones (healthy: at least {_LEAST_KEPT:.0%} of it), so part of what is learned holds for "
        "the training images alone.",
        "Add images, strengthen [augmentation] (a smaller min_crop first), raise optimiser.weight_decay, or "
        "train for fewer epochs.",
    )


def too_few_images(images: int) -> RunFinding | None:
    """Find held-out images that are too few to judge by."""
    if images >= _FEWEST_TO_JUDGE:
        return None
    return RunFinding(
        "images",
        "undecided",
        "Too few images to judge",
        f"Every figure is measured on {images} images, so an accuracy has a standard error of up to "
        f"{100 * standard_error(0.5, images):.0f} points (wanted: {_FEWEST_TO_JUDGE} images and more).",
        "Name more images with infomax report --held-out, or train with more.",
    )


def at_cap(bounds: Mapping[str, float], caps: Mapping[str, float]) -> RunFinding | None:
    """Find InfoNCE bounds at the logarithm of the number of pairs, which they cannot pass.

    Args:
        bounds: the last bound of each term in nats.
        caps: the largest one possible for a term; terms without a cap are left out.
    """
    found = [term for term, cap in caps.items() if bounds.get(term, 0.0) > _NEAR_CAP * cap]
    if not found:
        return None
    named = ", ".join(f"{term} ({bounds[term]:.2f} of {caps[term]:.2f} nats)" for term in found)
    return RunFinding(
        "ceiling",
        "warning",
        "An MI estimate is at its ceiling",
        f"InfoNCE cannot say more than the logarithm of the pairs it compares: {named}. The mutual "
        "information is larger than the estimate, and the task has become too easy to learn much from.",
        "Raise batch_size or strengthen [augmentation]; do not read the estimate as the information.",
    )


def no_better_than_pixels(accuracy: float, pixels: float, images: int) -> RunFinding | None:
    """Find an embedding whose neighbours are no better than those of raw pixels; both are accuracies."""
    return _no_better(
        "pixels",
        "raw pixels",
        (accuracy, pixels),
        images,
        "Train for longer; then make the views differ less in what tells your classes apart (hue, grey, "
        "flip, min_crop), or start from more images.",
    )


def no_better_than_untrained(accuracy: float, untrained: float, images: int) -> RunFinding | None:
    """Find an embedding whose neighbours are no better than before the first step; both are accuracies."""
    return _no_better(
        "untrained",
        "an untrained encoder of its kind",
        (accuracy, untrained),
        images,
        "Train for longer or on more images, and look at the loss: where it does not fall, lower "
        "optimiser.learning_rate.",
    )


def _no_better(
    check: str, other: str, accuracies: tuple[float, float], images: int, remedy: str
) -> RunFinding | None:
    """Compare the accuracies of the embedding and of something else on the same images."""
    own, theirs = accuracies
    error = (standard_error(own, images) ** 2 + standard_error(theirs, images) ** 2) ** 0.5
    if own - theirs > _SURE * error:
        return None
    evidence = (
        f"Accuracy of 20 nearest neighbours on {images:,} held-out images: {own:.1%} by the embedding, "
        f"{theirs:.1%} by {other}; the difference has a standard error of {100 * error:.1f} points."
    )
    if own <= theirs:
        return RunFinding(check, "failure", f"The embedding is no better than {other}", evidence, remedy)
    title = f"The embedding is hardly better than {other}"
    return RunFinding(check, "warning", title, evidence, f"Measure on more images. {remedy}")
