"""What `infomax train` does once its options are checked: from a recipe and images to a run's folder."""

import logging
import time
from dataclasses import dataclass
from pathlib import Path

import typer

from training.cli.exit_status import STOPPED
from training.cli.report import VALIDATION, print_verdict
from training.data import ImageSet, images
from training.data.source import Source
from training.distributed import ranks
from training.loop import run_files, trainer
from training.loop.execution import Execution, choose
from training.loop.small_sets import changes, fit_to_images
from training.loop.trainer import TrainingResult, check_batches
from training.recipe import Recipe
from training.recipe_file import load_recipe
from training.report import write_report

__all__ = ["Options", "choose", "run"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """Options of the command line, as `infomax train --help` describes them."""

    recipe: Path
    data: Path
    out: Path
    resume: bool
    epochs: int | None
    batch_size: int | None
    init: Path | None
    minutes: float | None
    skip_unreadable: bool
    report: bool


def run(options: Options, source: Source, execution: Execution) -> None:
    """Train, report on the run where that is asked for, and say what to do next.

    Raises:
        InfomaxError: before any work where that is possible.
        typer.Exit: with status 75 when a signal or the time limit stopped the run.
    """
    recipe = _changed(load_recipe(options.recipe), options)
    stop_at = None if options.minutes is None else time.monotonic() + 60 * options.minutes
    with ranks.joined(execution.device):
        fitted = _fit(recipe, source.count, options)
        check_batches(fitted, source.count)
        with ranks.first_before_others():
            loaded = images.load_training_images(source, fitted, skip_unreadable=options.skip_unreadable)
        # Unreadable images are left out, and what remains may be fewer than a batch.
        fitted = _fit(recipe, len(loaded), options, announce=True)
        result = trainer.train(
            fitted,
            loaded,
            options.out,
            resume=options.resume,
            execution=execution,
            stop_at=stop_at,
            init=options.init,
        )
        first = ranks.first()
        if first:
            _print_result(result, options)
        # torchrun ends all processes as soon as one has ended with a status, so they end together.
        ranks.wait()
    if not result.finished:
        raise typer.Exit(STOPPED)
    # Alone: in a group its batches would wait for those of the others.
    if first and options.report:
        _report(options, loaded.split(fitted.validation_share, fitted.seed))


def _changed(recipe: Recipe, options: Options) -> Recipe:
    """Put the options' values in the place of the recipe's own."""
    own = {"epochs": options.epochs, "batch_size": options.batch_size}
    return recipe.model_copy(update={key: value for key, value in own.items() if value is not None})


def _fit(recipe: Recipe, count: int, options: Options, *, announce: bool = False) -> Recipe:
    fitted = fit_to_images(recipe, count, ranks.count(), batch_size_given=options.batch_size is not None)
    if announce and ranks.first():
        for change in changes(recipe, fitted, count):
            _log.warning("%s", change)
    return fitted


def _print_result(result: TrainingResult, options: Options) -> None:
    out, data = options.out, options.data
    if not result.finished:
        typer.echo(
            f"Stopped after step {result.step} of {result.total_steps}; {out / run_files.CHECKPOINT} is "
            "written. Continue with the same command and --resume."
        )
        return
    typer.echo(
        f"Finished {result.total_steps} steps in {result.seconds / 60:.1f} minutes; curves are in {out}.\n"
        f"Measure it:      infomax probe --run {out} --train {data} --test HELD_OUT\n"
        f"Make it servable: infomax export --run {out} --train {data} --held-out HELD_OUT --name NAME …"
    )


def _report(options: Options, parts: tuple[ImageSet, ImageSet]) -> None:
    """Write the report of a finished run, whose checkpoint is worth more than any page about it."""
    try:
        print_verdict(options.out, write_report(options.out, *parts, VALIDATION))
    except (Exception, KeyboardInterrupt) as error:
        problem = str(error) or type(error).__name__
        typer.echo(
            f"note: the run is finished, but there is no report of it ({problem}); "
            f"try infomax report --run {options.out} --train {options.data}",
            err=True,
        )
