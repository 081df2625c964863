"""Choice of the precision in which a model's encoder runs."""

from dataclasses import dataclass

from contract.card import ModelCard
from contract.precision import Precision
from service.errors import SettingsError
from service.settings import LARGEST_LOSS_POINTS, RequestedPrecision


@dataclass(frozen=True)
class PrecisionChoice:
    """Chosen precision of a model's encoder.

    Attributes:
        requested: the setting `precision`.
        active: the precision that was chosen.
        why_not_int8: reason in one sentence, where int8 was allowed and does not run.
    """

    requested: RequestedPrecision
    active: Precision
    why_not_int8: str | None = None


def choose(requested: RequestedPrecision, card: ModelCard, *, on_gpu: bool) -> PrecisionChoice:
    """Choose the requested precision; for `auto` int8 where the card says that it is as good as fp32.

    Raises:
        SettingsError: int8 was demanded and the model has no int8 encoder.
    """
    if requested == "fp32":
        return PrecisionChoice(requested, "fp32")
    if requested == "int8":
        if card.int8 is None:
            raise SettingsError(
                f"INFOMAX_PRECISION=int8 is set, but {card.id} has no int8 encoder. Export it with "
                "--precision int8, or set INFOMAX_PRECISION=auto."
            )
        return PrecisionChoice(requested, "int8")
    reason = _obstacle(card, on_gpu)
    return PrecisionChoice(requested, "int8" if reason is None else "fp32", reason)


def _obstacle(card: ModelCard, on_gpu: bool) -> str | None:
    """Return why `auto` does not take int8, in one sentence; None where it does."""
    if card.int8 is None:
        return "The model has no int8 encoder."
    if on_gpu:
        return "The int8 encoder is made for processors, and this is a GPU."
    lost = card.int8.loss.points
    if lost is None:
        return (
            "The card does not state the loss of accuracy by int8: it was measured on images without labels."
        )
    if lost > LARGEST_LOSS_POINTS:
        return f"By the card, int8 loses {lost:.2f} points of accuracy, more than {LARGEST_LOSS_POINTS:g}."
    return None
