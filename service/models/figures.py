"""Figures of a model summary as text: names, units and differences, one row each."""

from collections.abc import Callable
from dataclasses import dataclass

from service.models.summary import ModelSummary


@dataclass(frozen=True)
class CardFigure:
    """One row of a card or a comparison.

    Attributes:
        name: what the row is called.
        shown: the value as text, empty where the card lacks it.
        number: the value to subtract, in the unit of `unit`; None where a difference means nothing.
        unit: unit of the difference.
        digits: decimals of the difference.
        measured: whether a difference needs the same held-out images.
    """

    name: str
    shown: Callable[[ModelSummary], str]
    number: Callable[[ModelSummary], float | None] = lambda _: None
    unit: str = ""
    digits: int = 0
    measured: bool = False

    def difference(self, first: ModelSummary, second: ModelSummary) -> float | None:
        """Subtract the first model's value from the second's, where both have one that can be compared."""
        one, other = self.number(first), self.number(second)
        if one is None or other is None or (self.measured and not first.measured_like(second)):
            return None
        return other - one

    def shown_difference(self, first: ModelSummary, second: ModelSummary) -> str:
        """Write the difference with its sign and unit; empty where there is none."""
        difference = self.difference(first, second)
        return "" if difference is None else f"{difference:+,.{self.digits}f}{self.unit}"


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _shown_percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"


def _linear(model: ModelSummary) -> str:
    layer = "" if model.linear_layer is None else f" ({model.linear_layer})"
    return _shown_percent(model.linear_accuracy) + layer


def _speed(model: ModelSummary) -> str:
    return "" if model.images_per_second is None else f"{model.images_per_second:,.0f}/s ({model.processor})"


FIGURES: tuple[CardFigure, ...] = (
    CardFigure("size", lambda m: f"{m.bytes / 1e6:.1f} MB", lambda m: m.bytes / 1e6, " MB", 1),
    CardFigure("precisions", lambda m: ", ".join(m.precisions)),
    CardFigure("input", lambda m: f"{m.input[0]} x {m.input[1]}"),
    CardFigure("embedding", lambda m: f"{m.embedding:,} numbers", lambda m: m.embedding, " numbers"),
    CardFigure("map", lambda m: f"{m.patches[0]} x {m.patches[1]} patches"),
    CardFigure(
        "kNN accuracy",
        lambda m: _shown_percent(m.knn_accuracy),
        lambda m: _percent(m.knn_accuracy),
        " points",
        1,
        measured=True,
    ),
    CardFigure(
        "linear accuracy", _linear, lambda m: _percent(m.linear_accuracy), " points", 1, measured=True
    ),
    CardFigure("majority class", lambda m: _shown_percent(m.majority)),
    CardFigure(
        "measured on",
        lambda m: f"{m.measured_images:,} images" if m.majority is not None else "no labels",
    ),
    CardFigure("held-out images", lambda m: m.measured_split),
    # Without a difference: each model's nats are about its own patches and its own critic.
    CardFigure("information", lambda m: f"{m.mi_nats:.2f} ± {m.mi_standard_error:.2f} nats"),
    CardFigure("joint AUC", lambda m: f"{m.joint_auc:.3f}"),
    CardFigure("multiply-accumulates", lambda m: f"{m.macs / 1e6:,.1f} M", lambda m: m.macs / 1e6, " M", 1),
    CardFigure("fp32 on one thread", _speed),
    CardFigure("trained on", lambda m: f"{m.trained_on} ({m.trained_images:,} images)"),
    CardFigure("created", lambda m: m.created[:10]),
    CardFigure("licence", lambda m: m.licence),
    CardFigure("summary", lambda m: m.summary),
)
_BY_NAME = {one.name: one for one in FIGURES}


def figure(name: str) -> CardFigure:
    """Return the figure of a name.

    Raises:
        KeyError: there is none.
    """
    return _BY_NAME[name]
