"""Whether what is measured now is what a card says."""

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict

from contract.card import Calibration, ModelCard, Quality

# Sums in floating point depend on the number of threads, and an optimiser passes that on.
_ACCURACY_TOLERANCE = 0.005
_NATS_TOLERANCE = 0.01
_MEASURED = (
    "mi_nats",
    "mi_standard_error",
    "bank_error_nats",
    "lower_bound_nats",
    "shuffled_nats",
    "joint_auc",
    "flip_error_nats",
)


class Comparison(BaseModel):
    """One figure of a card, measured again.

    Attributes:
        figure: `linear conv` or `knn fc` for an accuracy, otherwise as the card names it.
        card, measured: both values; None where one is missing.
        tolerance: largest absolute difference that counts as the same.
    """

    model_config = ConfigDict(frozen=True)

    figure: str
    card: float | None
    measured: float | None
    tolerance: float

    @property
    def agrees(self) -> bool:
        """Both are there and close enough."""
        if self.card is None or self.measured is None:
            return False
        return abs(self.card - self.measured) <= self.tolerance


def comparable(card: ModelCard, quality: Quality) -> bool:
    """Whether the card's figures can be of the images measured now: there are as many of them."""
    return quality.images == card.quality.images == card.calibration.images


def compare(card: ModelCard, quality: Quality, calibration: Calibration) -> Iterator[Comparison]:
    """Every measured figure of the card beside its new value."""
    written, found = accuracies(card.quality), accuracies(quality)
    for name in dict.fromkeys([*written, *found]):
        yield Comparison(
            figure=name, card=written.get(name), measured=found.get(name), tolerance=_ACCURACY_TOLERANCE
        )
    said = calibrated(card.calibration)
    for name, value in calibrated(calibration).items():
        yield Comparison(figure=name, card=said[name], measured=value, tolerance=_NATS_TOLERANCE)


def accuracies(quality: Quality) -> dict[str, float]:
    """Accuracy by classifier and layer: `linear conv`, `knn fc`."""
    return {f"{score.probe} {score.layer}": score.accuracy for score in quality.scores}


def calibrated(calibration: Calibration) -> dict[str, float]:
    """What was measured of the maps, by the card's own names."""
    return {name: getattr(calibration, name) for name in _MEASURED}
