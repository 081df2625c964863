"""`infomax export`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from training.cli.offline import offline
from training.cli.options import DEFAULT_LOSS, MODELS_HELP, LargestLoss, Train


def export(
    run: Annotated[Path, typer.Option(help="Folder of the run.")],
    train: Train,
    held_out: Annotated[Path, typer.Option(help="Images kept apart; every figure is measured on them.")],
    name: Annotated[str, typer.Option(help="Name of the model: lower case letters, digits, '.', '_', '-'.")],
    licence: Annotated[str, typer.Option(help="Licence of the weights.")],
    summary: Annotated[str, typer.Option(help="What the model is, in one or two sentences.")],
    data_name: Annotated[str, typer.Option(help="Which images trained it, in words.")],
    held_out_name: Annotated[str, typer.Option(help="Which images were kept apart, in words.")],
    limit: Annotated[list[str], typer.Option(help="What it is not good for; once for each sentence.")],
    models: Annotated[Path, typer.Option(help=MODELS_HELP)] = Path("models"),
    version: Annotated[int, typer.Option(min=1, help="A version is written once.")] = 1,
    precision: Annotated[
        Literal["fp32", "int8"], typer.Option(help="int8: write the encoder in 8 bits beside the fp32 one.")
    ] = "fp32",
    largest_loss: LargestLoss = DEFAULT_LOSS,
) -> None:
    """Write a run's encoder as a model folder that can be served, with a critic fitted for its maps."""
    with offline():
        from training.commands import export as command
        from training.export.model_card import Release

        release = Release(name, version, licence, summary, tuple(limit), data_name, held_out_name)
        command.run(run, train, held_out, models, release, largest_loss if precision == "int8" else None)
