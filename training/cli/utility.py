"""`infomax utility`."""

from pathlib import Path
from typing import Annotated

import typer

from training.cli.offline import offline
from training.cli.options import InPrecision, Precision, Train


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
) -> None:
    """Say what pretraining is worth in labels; a second call goes on with what is missing."""
    counts = None if labels is None else _counts(labels)
    with offline():
        from training.commands import utility as command

        command.utility(run, train, test, labels=counts, seeds=seeds, precision=precision.value, out=out)


def _counts(text: str) -> tuple[int, ...]:
    try:
        return tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError as error:
        raise typer.BadParameter(f"--labels is {text!r}; write numbers with commas: 50,100,1000") from error
