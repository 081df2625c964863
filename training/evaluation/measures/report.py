"""The answer of `infomax measure`: a table in a terminal, plain lines with tabs elsewhere."""

from pydantic import BaseModel, ConfigDict

from contract.table import print_table
from training.evaluation.measures.figure import Figure


class MeasureReport(BaseModel):
    """Figures of `infomax measure`; `--json` writes it.

    Attributes:
        subject: the run's folder or the model's id.
        seed: of every random choice.
        training_images: how many small networks were fitted and chosen on, of `training_images_given`.
        test_images: how many were measured on at most, of `test_images_given`.
        figures: of the measures that are finished.
        unfinished: names of the measures that a signal prevented.
    """

    model_config = ConfigDict(frozen=True)

    subject: str
    seed: int
    training_images: int
    training_images_given: int
    test_images: int
    test_images_given: int
    figures: tuple[Figure, ...]
    unfinished: tuple[str, ...] = ()


def show(report: MeasureReport) -> None:
    """Print the figures."""
    print_table(
        ("measure", "figure", "value", "unit", "chance", "limit", "images"),
        [
            (
                one.measure,
                one.name,
                f"{one.value:.4f}",
                one.unit,
                _number(one.chance),
                _number(one.limit),
                str(one.images),
            )
            for one in report.figures
        ],
    )


def sizes(report: MeasureReport) -> str:
    """Say how many images were used."""
    fitted = _share(report.training_images, report.training_images_given)
    measured = _share(report.test_images, report.test_images_given)
    return (
        f"Fitted and chosen on {fitted} training images, measured on {measured} held-out ones, drawn by seed "
        f"{report.seed}; the last column says where fewer were looked at."
    )


def _share(used: int, given: int) -> str:
    return f"all {given:,}" if used == given else f"{used:,} of {given:,}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
