"""Whether what is measured now is what a card says."""

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict

from contract.card import Calibration, Int8Encoder, ModelCard, Quality
from contract.precision import PrecisionLoss

# Sums in floating point depend on the number of threads, and an optimiser passes that on.
_ACCURACY_TOLERANCE = 0.005
_NATS_TOLERANCE = 0.01
_COSINE_TOLERANCE = 0.001
# Which image meets whose code is drawn; cards of before that was drawn by the seed have other pairs.
_SHUFFLED_TOLERANCE = 0.3
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
    """Tell whether the card's figures can be of the images measured now: there are as many of them."""
    return quality.images == card.quality.images == card.calibration.images


def compare(card: ModelCard, quality: Quality, calibration: Calibration) -> Iterator[Comparison]:
    """Compare every measured figure of the card with its new value.

    A card of an earlier version has no score of some kinds of classifiers; those are not compared.
    """
    written = accuracies(card.quality)
    kinds = {score.probe for score in card.quality.scores}
    known = tuple(score for score in quality.scores if score.probe in kinds or not kinds)
    found = accuracies(quality.model_copy(update={"scores": known}))
    for name in dict.fromkeys([*written, *found]):
        yield Comparison(
            figure=name, card=written.get(name), measured=found.get(name), tolerance=_ACCURACY_TOLERANCE
        )
    on_card = calibrated(card.calibration)
    for name, value in calibrated(calibration).items():
        tolerance = _SHUFFLED_TOLERANCE if name == "shuffled_nats" else _NATS_TOLERANCE
        yield Comparison(figure=name, card=on_card[name], measured=value, tolerance=tolerance)


def compare_int8(card: Int8Encoder, loss: PrecisionLoss, maps: Calibration) -> Iterator[Comparison]:
    """Compare what an int8 encoder loses by its card with what it was measured to lose."""
    for figure, written, found, tolerance in (
        ("int8 knn embedding", card.loss.knn_int8, loss.knn_int8, _ACCURACY_TOLERANCE),
        ("int8 linear embedding", card.loss.linear_int8, loss.linear_int8, _ACCURACY_TOLERANCE),
        ("int8 mean_cosine", card.loss.mean_cosine, loss.mean_cosine, _COSINE_TOLERANCE),
        ("int8 mi_nats", card.maps.mi_nats, maps.mi_nats, _NATS_TOLERANCE),
    ):
        if written is not None:
            yield Comparison(figure=figure, card=written, measured=found, tolerance=tolerance)


def accuracies(quality: Quality) -> dict[str, float]:
    """Return accuracy by classifier and layer: `linear conv`, `knn fc`."""
    return {f"{score.probe} {score.layer}": score.accuracy for score in quality.scores}


def calibrated(calibration: Calibration) -> dict[str, float]:
    """Return what was measured of the maps, by the card's own names."""
    return {name: getattr(calibration, name) for name in _MEASURED}
