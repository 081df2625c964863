"""`infomax train`: from a recipe and images to a run's folder."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from training.cli.exit_status import STOPPED
from training.cli.failures import plain_failures
from training.cli.options import RECIPE_HELP, InPrecision, Precision
from training.cli.report import VALIDATION, print_verdict
from training.data import ImageSet, images, open_source
from training.distributed import ranks
from training.errors import TrainingError
from training.loop import trainer
from training.loop.checkpoint import FILE as CHECKPOINT
from training.loop.execution import choose
from training.loop.run import RECIPE_FILE
from training.loop.trainer import TrainingResult, check_batches
from training.recipe_file import load_recipe
from training.report import write_report
from training.shipped_recipes import recipe_file


class Device(StrEnum):
    """Device to compute on; auto takes a GPU where PyTorch sees one."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


def train(
    recipe: Annotated[str, typer.Option(help=RECIPE_HELP)],
    data: Annotated[Path, typer.Option(help="A folder of images or a Parquet file; labels are not used.")],
    out: Annotated[Path, typer.Option(help="Folder of the run: checkpoint, metrics and curves.")],
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in --out.")] = False,
    epochs: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's own number.")] = None,
    device: Annotated[
        Device, typer.Option(help="Where to compute; auto: a GPU if there is one.")
    ] = Device.AUTO,
    precision: InPrecision = Precision.AUTO,
    compile_encoder: Annotated[
        bool, typer.Option("--compile", help="Compile the encoder: a minute at the start, faster steps.")
    ] = False,
    report: Annotated[bool, typer.Option(help="Write report.html when it is finished.")] = True,
) -> None:
    """Train an encoder. Ctrl-C or SIGTERM writes a checkpoint and stops with status 75."""
    with plain_failures():
        _run(
            recipe_file(recipe),
            data,
            out,
            resume=resume,
            epochs=epochs,
            report=report,
            device=device.value,
            precision=precision.value,
            compiled=compile_encoder,
        )


def _run(
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
            loaded = images.load_training_images(source, recipe)
        result = trainer.train(recipe, loaded, out, resume=resume, execution=execution)
        first = ranks.first()
        if first:
            _print_result(result, data, out)
        # torchrun ends all processes as soon as one has ended with a status, so they end together.
        ranks.wait()
    if not result.finished:
        raise typer.Exit(STOPPED)
    # Alone: in a group its batches would wait for those of the others.
    if first and report:
        _report(out, data, loaded.split(recipe.validation_share, recipe.seed))


def _print_result(result: TrainingResult, data: Path, out: Path) -> None:
    if not result.finished:
        typer.echo(
            f"Stopped after step {result.step} of {result.total_steps}; {out / CHECKPOINT} is written. "
            "Go on with the same command and --resume."
        )
        return
    typer.echo(
        f"Finished {result.total_steps} steps in {result.seconds / 60:.1f} minutes; curves are in {out}.\n"
        f"Measure it:      infomax probe --run {out} --train {data} --test HELD_OUT\n"
        f"Make it servable: infomax export --run {out} --train {data} --held-out HELD_OUT --name NAME …"
    )


def _report(out: Path, data: Path, parts: tuple[ImageSet, ImageSet]) -> None:
    """Write the report of a finished run, whose checkpoint is worth more than any page about it."""
    try:
        print_verdict(out, write_report(out, *parts, VALIDATION))
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
