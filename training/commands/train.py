"""`infomax train`: from a recipe and images to a run's folder."""

from pathlib import Path

import typer

from training.commands.report import VALIDATION, say
from training.data import ImageSet, images, open_source
from training.distributed import ranks
from training.errors import TrainingError
from training.loop.checkpoint import FILE as CHECKPOINT
from training.loop.execution import choose
from training.loop.run import RECIPE_FILE
from training.loop.trainer import TrainingResult, check_batches, train
from training.recipe_file import load_recipe
from training.report import write_report

# sysexits.h: "temporary failure; user is invited to retry". A stopped run is neither done nor broken.
STOPPED = 75


def run(
    recipe_file: Path,
    data: Path,
    out: Path,
    *,
    resume: bool,
    epochs: int | None,
    report: bool,
    device: str,
    precision: str,
    compiled: bool,
) -> None:
    """Train, report on the run where that is asked for, and say what to do next.

    Raises:
        InfomaxError: before any work where that is possible.
        typer.Exit: with status 75 when a signal stopped the run.
    """
    recipe = load_recipe(recipe_file)
    if epochs is not None:
        recipe = recipe.model_copy(update={"epochs": epochs})
    execution = choose(device, precision, compiled=compiled)
    with ranks.joined(execution.device):
        _check_folder(out, resume)
        source = open_source(data)
        check_batches(recipe, source.count)
        with ranks.first_before_others():
            loaded = images.load_images(source, images.rule(recipe))
        outcome = train(recipe, loaded, out, resume=resume, execution=execution)
        first = ranks.first()
        if first:
            _say(outcome, data, out)
        # torchrun ends all processes as soon as one has ended with a status, so they end together.
        ranks.wait()
    if not outcome.finished:
        raise typer.Exit(STOPPED)
    # Alone: in a group its batches would wait for those of the others.
    if first and report:
        _report(out, data, loaded.split(recipe.validation_share, recipe.seed))


def _say(outcome: TrainingResult, data: Path, out: Path) -> None:
    if not outcome.finished:
        typer.echo(
            f"Stopped after step {outcome.step} of {outcome.total_steps}; {out / CHECKPOINT} is written. "
            "Go on with the same command and --resume."
        )
        return
    typer.echo(
        f"Finished {outcome.total_steps} steps in {outcome.seconds / 60:.1f} minutes; curves are in {out}.\n"
        f"Measure it:      infomax probe --run {out} --train {data} --test HELD_OUT\n"
        f"Make it servable: infomax export --run {out} --train {data} --held-out HELD_OUT --name NAME …"
    )


def _report(out: Path, data: Path, parts: tuple[ImageSet, ImageSet]) -> None:
    """Write the report of a finished run, whose checkpoint is worth more than any page about it."""
    try:
        say(out, write_report(out, *parts, VALIDATION))
    except (Exception, KeyboardInterrupt) as error:
        problem = str(error) or type(error).__name__
        typer.echo(
            f"note: the run is finished, but there is no report of it ({problem}); "
            f"try infomax report --run {out} --train {data}",
            err=True,
        )


def _check_folder(out: Path, resume: bool) -> None:
    """Refuse now what `train` would refuse after all images are decoded."""
    if resume and not (out / CHECKPOINT).is_file():
        raise TrainingError(f"{out} has no {CHECKPOINT} to go on from; start the run without --resume.")
    if not resume and (out / RECIPE_FILE).exists():
        raise TrainingError(f"{out} already holds a run; go on with --resume or name another folder.")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(f"{out} cannot be made a folder: {error.strerror}; name another.") from error
