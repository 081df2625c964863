"""`infomax report`."""

from pathlib import Path
from typing import Annotated

import typer

from training.cli.offline import offline
from training.cli.options import Train


def report(
    run: Annotated[Path, typer.Option(help="Folder of a run.")],
    train: Train,
    held_out: Annotated[
        Path | None,
        typer.Option(help="Images it was not trained on; the recipe's validation share by default."),
    ] = None,
) -> None:
    """Write report.html into a run's folder: what it is worth, what is wrong with it, and pictures."""
    with offline():
        from training.commands import report as command

        command.run(run, train, held_out)
