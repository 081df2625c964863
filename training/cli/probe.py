"""`infomax probe`."""

from pathlib import Path
from typing import Annotated

import typer

from training.cli.offline import offline
from training.cli.options import Train


def probe(
    train: Train,
    test: Annotated[Path, typer.Option(help="Labelled images that nothing was fitted to.")],
    run: Annotated[Path | None, typer.Option(help="Folder of a run.")] = None,
    model: Annotated[Path | None, typer.Option(help="Model folder, compared with its card.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the figures into this file too.")] = None,
) -> None:
    """Measure what a run's encoder or an exported model is worth; status 1 when a card does not agree."""
    if (run is None) == (model is None):
        raise typer.BadParameter("name either --run or --model")
    with offline():
        from training.commands import probe as command

        if run is not None:
            command.probe_run(run, train, test, json)
        elif model is not None:
            command.probe_model(model, train, test, json)
