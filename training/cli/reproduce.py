"""`infomax reproduce`: from the name of a comparison to its table and its figure."""

from pathlib import Path
from typing import Annotated

import typer

from training.cli.exit_status import STOPPED
from training.cli.failures import plain_failures
from training.cli.options import InPrecision, Minutes, Precision, SkipUnreadable
from training.data import images as image_files
from training.data import open_source
from training.errors import DataError, TrainingError
from training.evaluation.quality import shared_labels
from training.experiments.reproduce import result
from training.experiments.reproduce.budget import Budget, claim
from training.experiments.reproduce.experiments import EXPERIMENTS, Experiment, choose
from training.experiments.reproduce.figure import draw
from training.experiments.reproduce.markdown import render
from training.experiments.reproduce.running import ExperimentImages
from training.experiments.reproduce.running import run as run_experiment
from training.loop import execution as executions
from training.loop.time_limit import time_limit
from training.system.signals import watch


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
    minutes: Minutes = None,
    skip_unreadable: SkipUnreadable = False,
) -> None:
    """Repeat the paper's comparisons at one budget for all; call again to resume."""
    with plain_failures():
        budget = Budget(
            train=str(train),
            test=str(test),
            images=images,
            epochs=epochs,
            batch_size=batch_size,
            seed=seed,
            precision=executions.choose("auto", precision.value, compiled=False).precision,
        )
        _run(name, budget, out, minutes, skip_unreadable)


TABLE = "table.md"
FIGURE = "figure.png"


def _run(name: str, budget: Budget, out: Path, minutes: float | None, skip_unreadable: bool) -> None:
    """Run what is not finished yet, and show all that is.

    Raises:
        InfomaxError: before any image is decoded where that is possible; or experiments failed, after the
            others were run.
        typer.Exit: with status 75 when a signal or the time limit stopped it.
    """
    asked = choose(name)
    missing = [one for one in asked if result.read(out, one.name) is None]
    training, test = open_source(Path(budget.train)), open_source(Path(budget.test))
    shared_labels(training, test)
    if budget.images > training.count:
        raise DataError(
            f"--images is {budget.images:,}, but {budget.train} holds only {training.count:,}; ask for fewer."
        )
    claim(out, budget)
    failures: dict[str, TrainingError] = {}
    if missing:
        rule = image_files.rule(missing[0].recipe(budget))
        drawn, tested = (
            image_files.load_images(each, rule, skip_unreadable=skip_unreadable) for each in (training, test)
        )
        images = ExperimentImages(drawn.sample(budget.images, budget.seed), tested)
        failures = _run_all(missing, budget, images, out, minutes)
    _show(out)
    if failures:
        sentences = " ".join(f"{failed}: {error}" for failed, error in failures.items())
        raise TrainingError(f"{len(failures)} of {len(asked)} experiments failed. {sentences}")
    if any(result.read(out, one.name) is None for one in asked):
        typer.echo("Stopped. Go on with the same command.")
        raise typer.Exit(STOPPED)


def _run_all(
    missing: list[Experiment], budget: Budget, images: ExperimentImages, out: Path, minutes: float | None
) -> dict[str, TrainingError]:
    """Run one after the other until a signal or the time limit comes; why some failed, by name."""
    failures: dict[str, TrainingError] = {}
    with watch() as interruption, time_limit(minutes):
        for number, experiment in enumerate(missing, start=1):
            if interruption.requested:
                break
            typer.echo(f"{experiment.name} ({number} of {len(missing)})", err=True)
            try:
                run_experiment(experiment, budget, images, out, interruption)
            except TrainingError as error:
                failures[experiment.name] = error
    return failures


def _show(out: Path) -> None:
    """Print and write the table and the figure of every finished experiment in the folder."""
    found = [one for name in EXPERIMENTS if (one := result.read(out, name)) is not None]
    if not found:
        typer.echo("No experiment is finished yet.")
        return
    table = render(found)
    (out / TABLE).write_text(table)
    draw(found, out / FIGURE)
    typer.echo(table)
    typer.echo(f"{out / TABLE} and {out / FIGURE} hold {len(found)} of {len(EXPERIMENTS)} experiments.")
