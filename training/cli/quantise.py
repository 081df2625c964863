"""`infomax quantise`."""

from pathlib import Path
from typing import Annotated

import typer

from training.cli.offline import offline
from training.cli.options import DEFAULT_LOSS, MODELS_HELP, LargestLoss, Train


def quantise(
    model: Annotated[Path, typer.Option(help="Model folder, which stays as it is.")],
    version: Annotated[int, typer.Option(min=1, help="Of the new one; a version is written once.")],
    train: Train,
    held_out: Annotated[Path, typer.Option(help="Images kept apart; the loss is measured on them.")],
    held_out_name: Annotated[str, typer.Option(help="Which images were kept apart, in words.")],
    models: Annotated[Path, typer.Option(help=MODELS_HELP)] = Path("models"),
    largest_loss: LargestLoss = DEFAULT_LOSS,
) -> None:
    """Write a new version of an exported model that has its encoder in 8 bits too."""
    with offline():
        from training.commands import quantise as command

        command.run(
            model, version, train, held_out, models, held_out_name=held_out_name, largest_loss=largest_loss
        )
