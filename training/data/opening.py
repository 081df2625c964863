"""Finds out what kind of image data a path holds."""

from pathlib import Path

from training.data.folder import open_folder
from training.data.parquet import open_parquet
from training.data.source import Source
from training.errors import DataError


def open_source(path: Path) -> Source:
    """Open a folder of images or a Parquet file; labels are known afterwards, no image is decoded.

    Raises:
        DataError: the path does not exist, is neither, or holds no image.
    """
    if path.is_dir():
        return open_folder(path)
    if not path.exists():
        raise DataError(f"There is no {path}; name a folder of images or a Parquet file.")
    if path.suffix != ".parquet":
        raise DataError(
            f"{path} is neither a folder nor a .parquet file; the official CIFAR-10 archive is converted "
            "by `infomax convert-cifar`."
        )
    return open_parquet(path)
