"""`infomax report`: one page about a run, for those who are to trust its encoder."""

from pathlib import Path

import typer

from training.data import images, open_source
from training.evaluation.quality import shared_labels
from training.loop.trained import load_run
from training.report import FILE, Evidence, health, worth, write_report

# Name of the held-out images of a report unless others are named.
VALIDATION = "the validation share"


def run(folder: Path, train: Path, held_out: Path | None) -> None:
    """Write the report, and say its verdict.

    Args:
        folder: of the run.
        train: the images that it was made of.
        held_out: images that it was not trained on; None for the share that the recipe held out.

    Raises:
        InfomaxError: before any image is decoded where that is possible.
    """
    trained = load_run(folder)
    source = open_source(train)
    other = None if held_out is None else open_source(held_out)
    if other is not None and source.labels is not None and other.labels is not None:
        shared_labels(source, other)
    rule = images.rule(trained.recipe)
    known, validation = trained.split(images.load_images(source, rule))
    if other is None:
        say(folder, write_report(folder, known, validation, VALIDATION))
    else:
        say(folder, write_report(folder, known, images.load_images(other, rule), str(held_out)))


def say(folder: Path, evidence: Evidence) -> None:
    """Print the verdict and where to read more."""
    typer.echo(
        f"{health(evidence.findings)}\n"
        f"{worth(evidence.quality, evidence.pixel_accuracy)}\n"
        f"{folder / FILE} says more."
    )
