"""What `infomax train` does once its options are checked: from images to a run's folder, or to a model."""

import logging
import math
import re
import shlex
import time
from dataclasses import dataclass
from pathlib import Path

import typer

from contract.counts import counted
from training.cli.exit_status import STOPPED
from training.cli.own_release import ModelStatements
from training.cli.report import SET_ASIDE, VALIDATION, print_verdict
from training.cli.train_export import check_name, check_parts, export_run
from training.data import ImageSet, images, set_aside
from training.data.source import Source
from training.distributed import ranks
from training.loop import run_files, trainer
from training.loop.execution import Execution, choose
from training.loop.small_sets import changes, fit_to_images
from training.loop.starting_point import StartingPoint
from training.loop.trainer import TrainingResult, check_batches
from training.planning import own_recipe
from training.recipe import Recipe
from training.recipe_file import load_recipe, load_recorded
from training.report import write_report

__all__ = ["ModelStatements", "Options", "choose", "run"]

_SLACK = 0.25
_START_MINUTES = 1

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """Options of the command line, as `infomax train --help` describes them.

    Attributes:
        stop_at: when --minutes are over, on the monotonic clock.
        stated: what a model's maker says about it.
    """

    recipe: Path | None
    data: Path
    out: Path
    resume: bool
    epochs: int | None
    batch_size: int | None
    size: int | None
    init: Path | None
    stop_at: float | None
    skip_unreadable: bool
    report: bool
    export: str | None
    models: Path
    stated: ModelStatements


def run(options: Options, source: Source, execution: Execution) -> None:
    """Train, report on the run and export it where that is asked for, and say what to do next.

    Raises:
        InfomaxError: before any work where that is possible.
        typer.Exit: with status 75 when a signal or the time limit stopped the run.
    """
    if options.export is not None:
        check_name(options.models, options.export)
    with ranks.joined(execution.device):
        init = None if options.init is None else StartingPoint.read(options.init)
        fitted, loaded = _prepared(options, source, execution, init)
        # Before the run: the log names copies once, and too few images cost no hour.
        apart = set_aside.held_out(loaded, fitted) if fitted.held_out_share else None
        if options.export is not None:
            check_parts(fitted, len(loaded), apart)
        result = trainer.train(
            fitted,
            loaded,
            options.out,
            resume=options.resume,
            execution=execution,
            stop_at=options.stop_at,
            init=init,
        )
        first = ranks.first()
        if first:
            _print_result(result, options, fitted)
        # torchrun ends all processes as soon as one has ended with a status, so they end together.
        ranks.wait()
    if not result.finished:
        raise typer.Exit(STOPPED)
    # Alone: in a group its batches would wait for those of the others.
    if not first:
        return
    if options.report:
        known, validation = set_aside.fitted_and_validation(loaded, fitted)
        asked, split = (validation, VALIDATION) if apart is None else (apart, SET_ASIDE)
        _report(options, known, asked, split)
    if options.export is not None and apart is not None:
        export_run(options.out, options.data, options.export, options.stated, options.models, loaded, apart)


def _prepared(
    options: Options, source: Source, execution: Execution, init: StartingPoint | None
) -> tuple[Recipe, ImageSet]:
    """Read or make the recipe, decode the images, and fit the first to their number."""
    if options.recipe is None and not options.resume:
        return _chosen(options, source, execution, init)
    recipe = _read(options)
    if options.resume and ranks.first() and (options.out / run_files.CHECKPOINT).exists():
        # Reading them is silent where they are cached, and takes minutes where they are many.
        typer.echo(f"Resuming the run in {options.out}: reading its {counted(source.count, 'image')} first.")
    if init is not None:
        init.check(recipe)
    fitted = _fit(_changed(recipe, options, source.count), source.count, options)
    check_batches(fitted, source.count)
    with ranks.first_before_others():
        loaded = images.load_training_images(source, fitted, skip_unreadable=options.skip_unreadable)
    # Unreadable images are left out, and what remains may be fewer than a batch.
    changed = _changed(recipe, options, len(loaded))
    if ranks.first() and changed.held_out_share != recipe.held_out_share:
        typer.echo(own_recipe.set_aside_sentence(changed, len(loaded)))
    return _fit(changed, len(loaded), options, announce=True), loaded


def _chosen(
    options: Options, source: Source, execution: Execution, init: StartingPoint | None
) -> tuple[Recipe, ImageSet]:
    """Make the recipe, saying what is chosen and why, and decode the images."""
    given = own_recipe.Given(
        options.size,
        options.epochs,
        options.batch_size,
        options.stop_at,
        report=options.report,
        export=options.export is not None,
    )
    drafted = own_recipe.draft(source, given, execution)
    typer.echo("\n".join(drafted.sentences))
    if init is not None:
        init.check(drafted.recipe)
    loaded = images.load_training_images(source, drafted.recipe, skip_unreadable=options.skip_unreadable)
    completed = own_recipe.complete(drafted, len(loaded), given, time.monotonic())
    typer.echo("\n".join(completed.sentences))
    return completed.recipe, loaded


def _read(options: Options) -> Recipe:
    if options.recipe is not None:
        return load_recipe(options.recipe)
    return load_recorded(options.out / run_files.RECIPE)


def _changed(recipe: Recipe, options: Options, count: int) -> Recipe:
    """Replace the recipe's values by those of the options, for `count` images."""
    own: dict[str, float | None] = {"epochs": options.epochs, "batch_size": options.batch_size}
    # The recipe of a folder is that of its run, which cannot set images aside any more.
    if options.export is not None and options.recipe is not None and not recipe.held_out_share:
        own["held_out_share"] = own_recipe.held_out_share(count)
    return recipe.model_copy(update={key: value for key, value in own.items() if value is not None})


def _fit(recipe: Recipe, count: int, options: Options, *, announce: bool = False) -> Recipe:
    fitted = fit_to_images(recipe, count, ranks.count(), batch_size_given=options.batch_size is not None)
    if announce and ranks.first():
        for change in changes(recipe, fitted, count):
            _log.warning("%s", change)
    return fitted


def _print_result(result: TrainingResult, options: Options, recipe: Recipe) -> None:
    if not result.finished:
        typer.echo(
            f"Stopped after step {result.step} of {result.total_steps}; "
            f"{options.out / run_files.CHECKPOINT} is written. Continue with the same command and --resume."
        )
        if options.stop_at is not None and time.monotonic() >= options.stop_at:
            typer.echo(time_needed(result))
        return
    typer.echo(
        f"Finished {counted(result.total_steps, 'step')} in {result.seconds / 60:.1f} minutes; "
        f"curves are in {options.out}."
    )
    if options.export is not None:
        return
    images_of = f"--run {shlex.quote(str(options.out))} --train {shlex.quote(str(options.data))}"
    test, held_out = ("", "") if recipe.held_out_share else (" --test HELD_OUT", " --held-out HELD_OUT")
    typer.echo(
        f"Measure it:       infomax probe {images_of}{test}\n"
        f"Make it servable: infomax export {images_of}{held_out} --name {_model_name(options.out)}"
    )


def time_needed(result: TrainingResult) -> str:
    """Say how much time the rest of a run takes that its limit has stopped, by the steps that were taken."""
    if result.step == 0:
        return "--minutes ended before the first step, so that the time of a step is not known. Allow more."
    of_step, left = result.seconds / result.step, result.total_steps - result.step
    # With the start, for which decoded images are kept, and steps of another speed.
    minutes = _START_MINUTES + math.ceil((1 + _SLACK) * left * of_step / 60)
    return (
        f"A step took {of_step:.2g} s. "
        f"For the {counted(left, 'step')} left, --resume --minutes {minutes} is enough."
    )


def _model_name(run: Path) -> str:
    """Make a name of a model out of that of a run's folder."""
    name = re.sub("[^a-z0-9._-]+", "-", run.resolve().name.lower()).strip("-._")
    return name[:64] or "mine"


def _report(options: Options, known: ImageSet, asked: ImageSet, split: str) -> None:
    """Write the report of a finished run, whose checkpoint is worth more than any page about it."""
    try:
        print_verdict(options.out, write_report(options.out, known, asked, split))
    except (Exception, KeyboardInterrupt) as error:
        problem = str(error) or type(error).__name__
        typer.echo(
            f"note: the run is finished, but there is no report of it ({problem}); "
            f"try infomax report --run {options.out} --train {options.data}",
            err=True,
        )
