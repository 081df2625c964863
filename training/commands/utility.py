"""`infomax utility`: what a run's pretraining is worth, in labels."""

from pathlib import Path

import numpy as np
import typer

from training.commands.train import STOPPED
from training.data import images, open_source
from training.errors import TrainingError
from training.evaluation.quality import shared_labels
from training.experiments.utility import (
    FILE,
    PICTURE,
    check_label_counts,
    default_label_counts,
    draw,
    measure,
    schedule_for,
    sentence,
    show,
)
from training.loop.execution import choose
from training.loop.trained import load_run


def utility(
    run: Path,
    train: Path,
    test: Path,
    *,
    labels: tuple[int, ...] | None,
    seeds: int,
    precision: str,
    out: Path | None,
) -> None:
    """Measure what is missing, draw the curve and say it in words.

    Args:
        run: folder of a run.
        train, test: labelled images.
        labels: numbers of labels; None for the default ones.
        seeds: how many times each is measured.
        precision: in which classifiers are trained; as for `execution.choose`, on the CPU.
        out: folder for the results; None for the run's.

    Raises:
        InfomaxError: before any image is decoded where that is possible.
        typer.Exit: with status 75 when a signal stopped it.
    """
    execution = choose("cpu", precision, compiled=False)
    trained = load_run(run)
    training_source, test_source = open_source(train), open_source(test)
    known, _ = shared_labels(training_source, test_source)
    check_label_counts(labels or (), known)
    folder = _made(out or run)
    rule = images.rule(trained.recipe)
    training, asked = images.load_images(training_source, rule), images.load_images(test_source, rule)
    counts = labels or default_label_counts(len(training), len(np.unique(known)))
    schedule = schedule_for(trained.recipe, execution.precision)
    outcome = measure(trained, training, asked, counts, seeds, schedule, folder)
    if not outcome.finished:
        typer.echo(
            f"Stopped; what is measured is in {folder / FILE}. The same command goes on with the rest."
        )
        raise typer.Exit(STOPPED)
    draw(outcome.curve, folder / PICTURE)
    show(outcome.curve)
    typer.echo(sentence(outcome.curve))


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(f"{folder} cannot be made a folder: {error.strerror}; name another.") from error
    return folder
