"""`infomax ablate`."""

from pathlib import Path
from typing import Annotated

import typer

from training.cli.offline import offline
from training.cli.options import RECIPE_HELP, InPrecision, Precision


def ablate(
    recipe: Annotated[str, typer.Option(help=RECIPE_HELP)],
    data: Annotated[Path, typer.Option(help="Labelled images; a tenth of those drawn is measured on.")],
    out: Annotated[Path, typer.Option(help="Folder of results; what is finished there is not run again.")],
    images: Annotated[int, typer.Option(min=1, help="Images to draw for all runs.")] = 10_000,
    epochs: Annotated[int, typer.Option(min=1, help="Instead of the recipe's own number.")] = 6,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each row.")] = 3,
    only: Annotated[list[str] | None, typer.Option(help="A trick to leave out; may be repeated.")] = None,
    precision: InPrecision = Precision.AUTO,
    minutes: Annotated[
        float | None, typer.Option(min=0, help="Stop after this time, with status 75.")
    ] = None,
) -> None:
    """Measure what each trick of a recipe is worth, by leaving it out, over several seeds."""
    with offline():
        from training.commands import ablate as command
        from training.loop.execution import choose
        from training.shipped_recipes import recipe_file

        execution = choose("auto", precision.value, compiled=False)
        plan = command.Plan(recipe_file(recipe), data, images, epochs, seeds, tuple(only or ()), execution)
        command.run(plan, out, minutes)
