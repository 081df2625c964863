"""`infomax convert-cifar`."""

from pathlib import Path
from typing import Annotated

import typer

from training.cli.offline import plain_failures


def convert_cifar(
    archive: Annotated[Path, typer.Argument(help="cifar-10-python.tar.gz or cifar-10-binary.tar.gz.")],
    out: Annotated[Path, typer.Option(help="Folder for train.parquet and test.parquet.")],
) -> None:
    """Convert the official CIFAR-10 archive to Parquet files with lossless images."""
    with plain_failures():
        from training.commands import convert_cifar as command

        command.run(archive, out)
