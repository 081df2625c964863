"""The answer of `infomax probe`: a table in a terminal, plain lines with tabs elsewhere."""

import typer
from pydantic import BaseModel, ConfigDict

from contract.card import Calibration, Quality
from contract.table import print_table
from training.export.card_check import Comparison, accuracies, calibrated


class ProbeReport(BaseModel):
    """Figures of `infomax probe`; `--json` writes it.

    Attributes:
        subject: the run's folder or the model's id.
        quality: of every layer, on the test images.
        calibration: of a model's maps on the test images; a run has no maps yet.
        comparisons: each figure beside the card's; None for a run, and for images that are not the card's.
    """

    model_config = ConfigDict(frozen=True)

    subject: str
    quality: Quality
    calibration: Calibration | None = None
    comparisons: tuple[Comparison, ...] | None = None

    @property
    def disagreeing(self) -> list[str]:
        """Figures that are not what the card says."""
        return [one.figure for one in self.comparisons or () if not one.agrees]


def show(report: ProbeReport) -> None:
    """Print the figures, beside the card's where they can be compared, and whether they agree."""
    if report.comparisons is None:
        figures = accuracies(report.quality) | (calibrated(report.calibration) if report.calibration else {})
        print_table(("figure", "measured"), [(name, f"{value:.4f}") for name, value in figures.items()])
    else:
        print_table(
            ("figure", "measured", "card", "agrees"),
            [
                (one.figure, _figure(one.measured), _figure(one.card), "yes" if one.agrees else "no")
                for one in report.comparisons
            ],
        )
    if report.quality.majority is not None:
        typer.echo(f"Always answering the most frequent class is right for {report.quality.majority:.2%}.")
    if report.disagreeing:
        typer.echo(f"NOT what the card of {report.subject} says: {', '.join(report.disagreeing)}.")
    elif report.comparisons is not None:
        typer.echo(f"All figures agree with the card of {report.subject}.")
    elif report.calibration is not None:
        typer.echo(f"The card of {report.subject} is of other images; nothing was compared with it.")


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
