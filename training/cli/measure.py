"""`infomax measure`."""

from pathlib import Path
from typing import Annotated

import typer

from training.cli.offline import offline
from training.cli.options import Train


def measure(
    train: Train,
    test: Annotated[Path, typer.Option(help="Images that nothing was fitted to; labels are not needed.")],
    run: Annotated[Path | None, typer.Option(help="Folder of a run.")] = None,
    model: Annotated[Path | None, typer.Option(help="Model folder.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the figures into this file too.")] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="A measure to make, instead of all; once for each.")
    ] = None,
) -> None:
    """Measure what a frozen encoder's code says: MINE, NDM, a decoder's MS-SSIM, occlusion, coordinates."""
    if (run is None) == (model is None):
        raise typer.BadParameter("name either --run or --model")
    with offline():
        from training.commands import measure as command

        request = command.Request(train, test, json, tuple(only or ()))
        if run is not None:
            command.measure_run(run, request)
        elif model is not None:
            command.measure_model(model, request)
