"""`infomax report`: one page about a run, for those who are to trust its encoder."""

from pathlib import Path
from typing import Annotated

import typer

from training.cli.failures import plain_failures
from training.cli.options import SkipUnreadable, Train
from training.data import ImageSet, images, open_source
from training.evaluation.quality import shared_labels
from training.loop.trained import TrainedEncoder, load_run
from training.report import FILE, Evidence, health, worth, write_report


def report(
    run: Annotated[Path, typer.Option(help="Folder of a run.")],
    train: Train,
    held_out: Annotated[
        Path | None,
        typer.Option(help="Images it was not trained on; default: those that the run set aside or held out."),
    ] = None,
    skip_unreadable: SkipUnreadable = False,
) -> None:
    """Write report.html into a run's folder: what it is worth, what is wrong with it, and pictures."""
    with plain_failures():
        _run(run, train, held_out, skip_unreadable)


# Names of the held-out images of a report unless others are named.
VALIDATION = "the validation share"
SET_ASIDE = "the share set aside"


def _run(folder: Path, train: Path, held_out: Path | None, skip_unreadable: bool) -> None:
    """Write the report, and say its verdict.

    Args:
        folder: of the run.
        train: the images that it was made of.
        held_out: images that it was not trained on; None for those that the run set aside or, where it set
            none aside, held out to validate with.
        skip_unreadable: leave out all unreadable images.

    Raises:
        InfomaxError: before any image is decoded where that is possible.
    """
    trained = load_run(folder)
    source = open_source(train)
    other = None if held_out is None else open_source(held_out)
    if other is not None and source.labels is not None and other.labels is not None:
        shared_labels(source, other)
    rule = images.rule(trained.recipe)
    given = images.load_images(source, rule, skip_unreadable=skip_unreadable)
    known, asked, split = report_parts(trained, given)
    if other is not None:
        asked, split = images.load_images(other, rule, skip_unreadable=skip_unreadable), str(held_out)
    print_verdict(folder, write_report(folder, known, asked, split))


def report_parts(trained: TrainedEncoder, given: ImageSet) -> tuple[ImageSet, ImageSet, str]:
    """Take of a run's images those it was trained on and those to report on, with these one's name."""
    known, validation = trained.split(given)
    if not trained.recipe.held_out_share:
        return known, validation, VALIDATION
    return known, trained.held_out(given), SET_ASIDE


def print_verdict(folder: Path, evidence: Evidence) -> None:
    """Print the verdict and where to read more."""
    typer.echo(
        f"{health(evidence.findings)}\n"
        f"{worth(evidence.quality, evidence.baselines)}\n"
        f"{folder / FILE} says more."
    )
