"""Measures of maps for cards of tests, and a model folder whose card states them."""

from pathlib import Path

from contract.artefact import open_artefact
from contract.card import CARD_FILE
from contract.map_measures import Attribution, Bin, Curve, Halves, MethodAttribution, Reliability


def map_measures() -> tuple[Attribution, Reliability]:
    """Figures that no model has."""
    curve = Curve(cosines=(0.8, 0.6, 0.4), mean=0.6, standard_error=0.01)
    methods = tuple(
        MethodAttribution(method=name, deletion=curve, insertion=curve, pointing={"photo": share})
        for name, share in (("contribution", 0.86), ("information", 0.17))
    )
    halves = Halves(cross=0.98, contrast=0.99, images=50)
    bins = tuple(
        Bin(
            claimed=claimed,
            observed=claimed / 2,
            standard_error=0.1,
            own=own,
            other=1000,
            above_ceiling=claimed > 4,
        )
        for claimed, own in ((-1.0, 60), (3.0, 900), (6.0, 70))
    )
    return (
        Attribution(split="fifty pictures", images=50, methods=methods, halves=halves),
        Reliability(split="fifty pictures", images=50, bins=bins),
    )


def state_measures(folder: Path) -> None:
    """State the figures in the card of a model folder."""
    card = open_artefact(folder).card.measured("fp32", *map_measures())
    (folder / CARD_FILE).write_text(card.to_json())
