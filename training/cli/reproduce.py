"""`infomax reproduce`."""

from pathlib import Path
from typing import Annotated

import typer

from training.cli.offline import offline
from training.cli.options import InPrecision, Precision


def reproduce(
    name: Annotated[str, typer.Argument(help="An experiment of the paper, such as dim-l-jsd; or all.")],
    train: Annotated[Path, typer.Option(help="Labelled training images: a folder or a Parquet file.")],
    test: Annotated[Path, typer.Option(help="Labelled images that nothing is fitted to.")],
    out: Annotated[Path, typer.Option(help="Folder of results; what is finished there is not run again.")],
    images: Annotated[
        int, typer.Option(min=1, help="Training images that each experiment may see.")
    ] = 20_000,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over them.")] = 12,
    batch_size: Annotated[int, typer.Option(min=2, help="Images of a step.")] = 64,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0,
    precision: InPrecision = Precision.AUTO,
    minutes: Annotated[
        float | None, typer.Option(min=0, help="Stop after this time, with status 75.")
    ] = None,
) -> None:
    """Repeat the paper's comparisons at one budget for all; call again to go on where a call stopped."""
    with offline():
        from training.commands import reproduce as command
        from training.experiments.reproduce.budget import Budget
        from training.loop.execution import choose

        budget = Budget(
            train=str(train),
            test=str(test),
            images=images,
            epochs=epochs,
            batch_size=batch_size,
            seed=seed,
            precision=choose("auto", precision.value, compiled=False).precision,
        )
        command.run(name, budget, out, minutes)
