"""`infomax convert-cifar`: the official CIFAR-10 archive to Parquet."""

from pathlib import Path
from typing import Annotated

import typer

from training.cli.failures import plain_failures
from training.data.cifar10 import convert


def convert_cifar(
    archive: Annotated[Path, typer.Argument(help="cifar-10-python.tar.gz or cifar-10-binary.tar.gz.")],
    out: Annotated[Path, typer.Option(help="Folder for train.parquet and test.parquet.")],
) -> None:
    """Convert the official CIFAR-10 archive to Parquet files with lossless images."""
    with plain_failures():
        _run(archive, out)


def _run(archive: Path, out: Path) -> None:
    """Convert, and name what was written.

    Raises:
        DataError: the archive is not one of the two official ones.
    """
    for path, count in convert(archive, out):
        typer.echo(f"{path}: {count:,} images")
