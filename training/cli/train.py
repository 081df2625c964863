"""`infomax train`: options, and what can be refused before PyTorch is loaded."""

import os
import re
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from training.cli.failures import plain_failures
from training.cli.options import (
    RECIPE_HELP,
    UNSTATED,
    InPrecision,
    Licence,
    Limits,
    Minutes,
    ModelsFolder,
    Precision,
    SkipUnreadable,
    Summary,
)
from training.data import open_source
from training.data.files import displayed
from training.errors import TrainingError
from training.loop import run_files
from training.planning.choices import SIZES
from training.shipped_recipes import recipe_file


class Device(StrEnum):
    """Device to compute on; auto takes a GPU where PyTorch sees one."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


def train(
    data: Annotated[
        Path,
        typer.Option(help="A folder of images, a Parquet file or a folder of them; labels are not used."),
    ],
    recipe: Annotated[
        str | None,
        typer.Option(help=f"{RECIPE_HELP} Without one, it is made for the images, the time and the machine."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the run: checkpoint, metrics and curves; default: runs/ and the data's name."
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(help="Height and width in pixels, where no recipe is named: 32, 64, 96 or 128."),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Continue from the checkpoint in --out; with more --epochs, extend it."
        ),
    ] = False,
    epochs: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's own number.")] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=2, help="Images of a step, instead of the recipe's own number.")
    ] = None,
    init: Annotated[
        Path | None,
        typer.Option(
            help="Weights to start from: .safetensors, a state dict, the folder of a run or of a model."
        ),
    ] = None,
    minutes: Minutes = None,
    skip_unreadable: SkipUnreadable = False,
    device: Annotated[
        Device, typer.Option(help="Where to compute; auto: a GPU if there is one.")
    ] = Device.AUTO,
    precision: InPrecision = Precision.AUTO,
    compile_encoder: Annotated[
        bool, typer.Option("--compile", help="Compile the encoder: a minute at the start, faster steps.")
    ] = False,
    report: Annotated[bool, typer.Option(help="Write report.html when it is finished.")] = True,
    export: Annotated[
        str | None,
        typer.Option(
            help="Name of a model to make of the finished run, measured on images that it set aside."
        ),
    ] = None,
    models: ModelsFolder = Path("models"),
    licence: Licence = UNSTATED,
    summary: Summary = None,
    limit: Limits = None,
) -> None:
    """Train an encoder. Ctrl-C or SIGTERM writes a checkpoint and stops with status 75."""
    stop_at = None if minutes is None else time.monotonic() + 60 * minutes
    with plain_failures():
        file = None if recipe is None else recipe_file(recipe)
        _check_options(recipe, size, resume=resume, init=init)
        out = Path("runs") / _name_of(data) if out is None else out
        _check_folder(out, resume=resume)
        # What is not there is said at once.
        if data.exists() and os.environ.get("RANK", "0") == "0":
            typer.echo(f"Looking through {displayed(data)}, then loading PyTorch.", err=True)
        source = open_source(data)
        # Loads PyTorch, which takes seconds: a wrong path has been refused by now.
        from training.cli import train_run

        train_run.run(
            train_run.Options(
                recipe=file,
                data=data,
                out=out,
                resume=resume,
                epochs=epochs,
                batch_size=batch_size,
                size=size,
                init=init,
                stop_at=stop_at,
                skip_unreadable=skip_unreadable,
                report=report,
                export=export,
                models=models,
                stated=train_run.ModelStatements(licence, summary, tuple(limit or ())),
            ),
            source,
            train_run.choose(device.value, precision.value, compiled=compile_encoder),
        )


def _name_of(data: Path) -> str:
    """Name the run of images after their folder or file."""
    path = data.resolve()
    name = re.sub(r"[^\w.-]+", "-", path.name if path.is_dir() else path.stem).strip("-.")
    return name or "images"


def _check_options(recipe: str | None, size: int | None, *, resume: bool, init: Path | None) -> None:
    """Refuse options that contradict each other.

    Raises:
        TrainingError: naming them.
    """
    if resume and init is not None:
        raise TrainingError("--init and --resume contradict each other. A resumed run has its weights.")
    if size is not None and (resume or recipe is not None):
        other = "--resume" if resume else "--recipe"
        raise TrainingError(f"--size and {other} contradict each other. The recipe has its input_size.")
    if size is not None and size not in SIZES:
        raise TrainingError(f"--size is {size}. Choose one of {', '.join(map(str, SIZES))}.")
    if recipe is None and not resume and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise TrainingError(
            "Several processes train here, and a recipe is chosen by one. Name it with --recipe, such as "
            "own_images_64."
        )


def _check_folder(out: Path, *, resume: bool) -> None:
    """Refuse now what would be refused after all images are decoded; nothing is made yet.

    Raises:
        TrainingError: there is no run to resume, or one that would be overwritten, or no place for a folder.
    """
    has_checkpoint = (out / run_files.CHECKPOINT).is_file()
    if resume and not has_checkpoint and not (out / run_files.RECIPE).is_file():
        raise TrainingError(f"{out} has no {run_files.CHECKPOINT} to resume. Start the run without --resume.")
    if not resume and has_checkpoint:
        raise TrainingError(f"{out} already holds a run. Continue it with --resume, or name another folder.")
    place = out
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise TrainingError(f"{out} cannot be made a folder: {place} is a file. Name another with --out.")
    if not os.access(place, os.W_OK | os.X_OK):
        raise TrainingError(f"{out} cannot be written: no permission in {place}. Name another with --out.")
