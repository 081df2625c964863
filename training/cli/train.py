"""`infomax train`."""

from pathlib import Path
from typing import Annotated

import typer

from training.cli.offline import offline


def train(
    recipe: Annotated[Path, typer.Option(help="A TOML file; shipped ones lie in training/recipes.")],
    data: Annotated[Path, typer.Option(help="A folder of images or a Parquet file; labels are not used.")],
    out: Annotated[Path, typer.Option(help="Folder of the run: checkpoint, metrics and curves.")],
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in --out.")] = False,
    epochs: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's own number.")] = None,
    report: Annotated[bool, typer.Option(help="Write report.html when it is finished.")] = True,
) -> None:
    """Train an encoder. Ctrl-C or SIGTERM writes a checkpoint and stops with status 75."""
    with offline():
        from training.commands import train as command

        command.run(recipe, data, out, resume=resume, epochs=epochs, report=report)
