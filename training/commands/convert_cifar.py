"""`infomax convert-cifar`: the official CIFAR-10 archive to Parquet."""

from pathlib import Path

import typer

from training.data.cifar10 import convert


def run(archive: Path, out: Path) -> None:
    """Convert, and name what was written.

    Raises:
        DataError: the archive is not one of the two official ones.
    """
    for path, count in convert(archive, out):
        typer.echo(f"{path}: {count:,} images")
