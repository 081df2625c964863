"""Comparison of a card with what is measured again."""

from pathlib import Path
from typing import Literal

from contract.artefact import open_artefact
from contract.card import ProbeScore, Quality
from tests.tiny_model import build_tiny_model
from training.export.card_check import compare

Kind = Literal["linear", "knn", "weighted_knn"]


def quality(**accuracies: float) -> Quality:
    kinds: dict[str, Kind] = {"linear": "linear", "knn": "knn", "weighted_knn": "weighted_knn"}
    return Quality(
        split="test",
        images=9,
        scores=tuple(
            ProbeScore(layer="fc", dimensions=2, probe=kinds[name], accuracy=value)
            for name, value in accuracies.items()
        ),
    )


def test_a_classifier_that_the_card_does_not_know_is_not_compared(tmp_path: Path) -> None:
    card = open_artefact(build_tiny_model(tmp_path)).card
    old = card.model_copy(update={"quality": quality(linear=0.5, knn=0.4)})
    new = quality(linear=0.5, knn=0.3, weighted_knn=0.6)
    compared = {one.figure: one.agrees for one in compare(old, new, card.calibration)}
    assert compared["linear fc"]
    assert not compared["knn fc"]
    assert "weighted_knn fc" not in compared
    known = card.model_copy(update={"quality": quality(linear=0.5, knn=0.3, weighted_knn=0.5)})
    assert not {one.figure: one.agrees for one in compare(known, new, card.calibration)}["weighted_knn fc"]
