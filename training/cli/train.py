"""`infomax train`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from training.cli.offline import offline
from training.cli.options import RECIPE_HELP, InPrecision, Precision


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
    with offline():
        from training.commands import train as command
        from training.shipped_recipes import recipe_file

        command.run(
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
