"""Whether what is measured now is what a card says."""

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict

from contract.card import Calibration, ModelCard, ProbeScore, Quality

# A linear classifier is fitted anew, and sums in floating point depend on the number of threads.
ACCURACY_TOLERANCE = 0.005
NATS_TOLERANCE = 0.01
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
        figure: what it is, in words or as the card names it.
        card, measured: both values; None where there is none.
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


def compare(card: ModelCard, quality: Quality, calibration: Calibration) -> Iterator[Comparison]:
    """Every measured figure of the card beside its new value; the images have to be the same ones."""
    yield Comparison(figure="test images", card=card.quality.images, measured=quality.images, tolerance=0)
    written = {score_name(score): score.accuracy for score in card.quality.scores}
    found = {score_name(score): score.accuracy for score in quality.scores}
    for name in dict.fromkeys([*written, *found]):
        yield Comparison(
            figure=name, card=written.get(name), measured=found.get(name), tolerance=ACCURACY_TOLERANCE
        )
    for name in _MEASURED:
        yield Comparison(
            figure=name,
            card=getattr(card.calibration, name),
            measured=getattr(calibration, name),
            tolerance=NATS_TOLERANCE,
        )


def score_name(score: ProbeScore) -> str:
    """`linear conv` or `knn fc`."""
    return f"{score.probe} {score.layer}"
