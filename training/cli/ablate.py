"""`infomax ablate`: from a recipe to what each of its tricks is worth."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from training.cli.exit_status import STOPPED
from training.cli.failures import plain_failures
from training.cli.options import RECIPE_HELP, InPrecision, Minutes, Precision, SkipUnreadable
from training.data import ImageSet, open_source
from training.data import images as image_files
from training.data.source import Source
from training.errors import DataError
from training.experiments.ablation import result as results
from training.experiments.ablation.result import AblationResult
from training.experiments.ablation.running import run as run_cell
from training.experiments.ablation.table import render
from training.experiments.ablation.tricks import FULL, choose, without
from training.loop import execution as executions
from training.loop.execution import Execution, precision_option
from training.loop.time_limit import time_limit
from training.recipe import Recipe
from training.recipe_file import load_recipe
from training.shipped_recipes import recipe_file
from training.system.signals import Interruption, watch


def ablate(
    recipe: Annotated[str, typer.Option(help=RECIPE_HELP)],
    data: Annotated[Path, typer.Option(help="Labelled images; a tenth of those drawn is measured on.")],
    out: Annotated[Path, typer.Option(help="Folder of results; what is finished there is not run again.")],
    images: Annotated[int, typer.Option(min=1, help="Images to draw for all runs.")] = 10_000,
    epochs: Annotated[int, typer.Option(min=1, help="Instead of the recipe's own number.")] = 6,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each row.")] = 3,
    only: Annotated[list[str] | None, typer.Option(help="A trick to leave out; may be repeated.")] = None,
    precision: InPrecision = Precision.AUTO,
    minutes: Minutes = None,
    skip_unreadable: SkipUnreadable = False,
) -> None:
    """Measure what each trick of a recipe is worth, by leaving it out, over several seeds."""
    with plain_failures():
        execution = executions.choose("auto", precision.value, compiled=False)
        plan = Plan(recipe_file(recipe), data, images, epochs, seeds, tuple(only or ()), execution)
        _run(plan, out, minutes, skip_unreadable)


TABLE = "ablation.md"
_RUNS = "runs"


@dataclass(frozen=True)
class Plan:
    """Runs of an ablation.

    Attributes:
        recipe_file, data: as the user named them.
        images: drawn from the data.
        epochs: instead of the recipe's own.
        seeds: how many, from the recipe's own upwards.
        only: names of tricks; empty takes all that the recipe uses.
        execution: where and in which precision to train.
    """

    recipe_file: Path
    data: Path
    images: int
    epochs: int
    seeds: int
    only: tuple[str, ...]
    execution: Execution

    def command(self) -> str:
        """Write the command, with file names in place of paths of this machine."""
        only = "".join(f" --only '{name}'" for name in self.only)
        return (
            f"infomax ablate --recipe {self.recipe_file} --data {self.data.name} --out ablation "
            f"--images {self.images} --epochs {self.epochs} --seeds {self.seeds}{only}"
            f"{precision_option(self.execution.precision)}"
        )


def _run(plan: Plan, out: Path, minutes: float | None, skip_unreadable: bool) -> None:
    """Run the cells that are not finished, a seed of every row before the next seed, and show the table.

    Raises:
        InfomaxError: before any image is decoded where that is possible.
        typer.Exit: with status 75 when a signal or the time limit stopped it.
    """
    recipe = load_recipe(plan.recipe_file).model_copy(update={"epochs": plan.epochs})
    rows = {FULL: recipe} | {trick.name: without(recipe, trick) for trick in choose(recipe, plan.only)}
    wanted = [
        (name, one.model_copy(update={"seed": recipe.seed + seed}))
        for seed in range(plan.seeds)
        for name, one in rows.items()
    ]
    source = _labelled(plan)
    out.mkdir(parents=True, exist_ok=True)
    missing = [each for each in wanted if _read(out, *each, plan) is None]
    if missing:
        images = image_files.load_training_images(source, recipe, skip_unreadable=skip_unreadable).sample(
            plan.images, recipe.seed
        )
        with watch() as interruption, time_limit(minutes):
            stopped = not _run_all(missing, images, out, plan.execution, interruption)
    _show(out, plan, recipe, list(_finished(out, wanted, plan)))
    if missing and stopped:
        typer.echo("Stopped. Go on with the same command.")
        raise typer.Exit(STOPPED)


def _labelled(plan: Plan) -> Source:
    source = open_source(plan.data)
    if source.labels is None:
        raise DataError(f"{plan.data} has no labels, by which tricks are compared; name labelled images.")
    if source.count < plan.images:
        raise DataError(
            f"--images is {plan.images:,}, but {plan.data} holds only {source.count:,}; ask for fewer."
        )
    return source


def _run_all(
    missing: list[tuple[str, Recipe]],
    images: ImageSet,
    out: Path,
    execution: Execution,
    interruption: Interruption,
) -> bool:
    """Run one after the other; False when a signal or the time limit stopped it."""
    for number, (name, recipe) in enumerate(missing, start=1):
        if interruption.requested:
            return False
        typer.echo(f"without {name}, seed {recipe.seed} ({number} of {len(missing)})", err=True)
        folder = out / _RUNS / results.path(out, name, recipe.seed).stem
        found = run_cell(name, recipe, images, folder, execution)
        if found is None:
            return False
        results.write(out, found)
    return True


def _read(out: Path, name: str, recipe: Recipe, plan: Plan) -> AblationResult | None:
    return results.read(
        out, name, recipe.seed, recipe.model_dump_json(), plan.images, plan.execution.precision
    )


def _finished(out: Path, wanted: list[tuple[str, Recipe]], plan: Plan) -> Iterator[AblationResult]:
    for name, recipe in wanted:
        cell = _read(out, name, recipe, plan)
        if cell is not None:
            yield cell


def _show(out: Path, plan: Plan, recipe: Recipe, finished: list[AblationResult]) -> None:
    if not finished:
        typer.echo("No run is finished yet.")
        return
    table = render(finished, recipe, plan.command())
    (out / TABLE).write_text(table)
    typer.echo(table)
    typer.echo(f"{out / TABLE} holds {len(finished)} runs.")
