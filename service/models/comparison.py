"""ModelComparison of two model versions by their cards."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt

from service.models.figures import FIGURES
from service.models.summary import ModelSummary


@dataclass(frozen=True)
class ModelComparison:
    """Two models and the differences of the second against the first.

    Attributes:
        differences: by name of the figure, in its unit: percentage points, MB, numbers or millions. Only
            where both cards have the figure and, for accuracies, measured it on the same images.
        note: what the differences of accuracy are worth, in one or two sentences.
    """

    first: ModelSummary
    second: ModelSummary
    differences: dict[str, float]
    note: str

    @classmethod
    def of(cls, first: ModelSummary, second: ModelSummary) -> "ModelComparison":
        """Compare two models."""
        found = ((one.name, one.difference(first, second)) for one in FIGURES)
        differences = {name: difference for name, difference in found if difference is not None}
        return cls(first, second, differences, _note(first, second))

    def rows(self) -> Iterator[tuple[str, str, str, str]]:
        """Write each figure of both models and its difference."""
        for one in FIGURES:
            yield (
                one.name,
                one.shown(self.first),
                one.shown(self.second),
                one.shown_difference(self.first, self.second),
            )


def _note(first: ModelSummary, second: ModelSummary) -> str:
    if not first.measured_like(second):
        return "Measured on different images: the accuracies cannot be compared. Run infomax probe on both."
    if first.knn_accuracy is None or second.knn_accuracy is None:
        return "A card states no kNN accuracy. Run infomax probe on both models."
    images = first.measured_images
    # Of two independent proportions: an upper bound here, since both models saw the same images and
    # mostly fail on the same ones.
    error = sqrt(sum(p * (1 - p) / images for p in (first.knn_accuracy, second.knn_accuracy)))
    return (
        f"Same {images:,} images. Standard error of a difference of kNN accuracies: at most "
        f"{100 * error:.1f} points."
    )
