"""`infomax utility`: what a run's pretraining is worth, in labels."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from training.cli.exit_status import STOPPED
from training.cli.failures import plain_failures
from training.cli.options import InPrecision, Precision, SkipUnreadable, Train
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
    run: Annotated[Path, typer.Option(help="Folder of a run.")],
    train: Train,
    test: Annotated[Path, typer.Option(help="Labelled images that nothing was fitted to.")],
    labels: Annotated[
        str | None, typer.Option(help="Numbers of labels, such as 50,100,1000; up to all by default.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many times each number of labels is drawn.")] = 3,
    precision: InPrecision = Precision.AUTO,
    out: Annotated[Path | None, typer.Option(help="Folder for the results, instead of the run's.")] = None,
    skip_unreadable: SkipUnreadable = False,
) -> None:
    """Say what pretraining is worth in labels; a second call goes on with what is missing."""
    counts = None if labels is None else _counts(labels)
    with plain_failures():
        _run(
            run,
            train,
            test,
            labels=counts,
            seeds=seeds,
            precision=precision.value,
            out=out,
            skip_unreadable=skip_unreadable,
        )


def _counts(text: str) -> tuple[int, ...]:
    try:
        return tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError as error:
        raise typer.BadParameter(f"--labels is {text!r}; write numbers with commas: 50,100,1000") from error


def _run(
    run: Path,
    train: Path,
    test: Path,
    *,
    labels: tuple[int, ...] | None,
    seeds: int,
    precision: str,
    out: Path | None,
    skip_unreadable: bool,
) -> None:
    """Measure what is missing, draw the curve and say it in words.

    Args:
        run: folder of a run.
        train, test: labelled images.
        labels: numbers of labels; None for the default ones.
        seeds: how many times each is measured.
        precision: in which classifiers are trained; as for `execution.choose`, on the CPU.
        out: folder for the results; None for the run's.
        skip_unreadable: leave out all unreadable images.

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
    given, asked = (
        images.load_images(training_source, rule, skip_unreadable=skip_unreadable),
        images.load_images(test_source, rule, skip_unreadable=skip_unreadable),
    )
    training = trained.seen(given)
    counts = labels or default_label_counts(len(training), len(np.unique(known)))
    schedule = schedule_for(trained.recipe, execution.precision)
    result = measure(trained, training, asked, counts, seeds, schedule, folder)
    if not result.finished:
        typer.echo(
            f"Stopped; what is measured is in {folder / FILE}. The same command goes on with the rest."
        )
        raise typer.Exit(STOPPED)
    draw(result.curve, folder / PICTURE)
    show(result.curve)
    typer.echo(sentence(result.curve))


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(f"{folder} cannot be made a folder: {error.strerror}; name another.") from error
    return folder
