"""Finds out what kind of image data a path holds."""

import glob
import logging
from pathlib import Path

from training.data.files import displayed
from training.data.folder import open_folder
from training.data.listing import SUFFIXES, Listing, list_folder
from training.data.parquet import open_parquet
from training.data.shards import check_one_split
from training.data.source import Source
from training.errors import DataError

_log = logging.getLogger(__name__)


def open_source(path: Path) -> Source:
    """Open image data; labels are known afterwards, no image is decoded.

    Args:
        path: a folder of images, a Parquet file, a folder of Parquet files, or a pattern that names some.

    Raises:
        DataError: the path does not exist, is none of these, or holds no image.
    """
    if path.is_dir():
        return _open_folder(path)
    if not path.exists():
        return _open_pattern(path)
    if path.suffix != ".parquet":
        raise DataError(
            f"{displayed(path)} is neither a folder nor a .parquet file. Name one; `infomax convert-cifar` "
            "converts the official CIFAR-10 archive."
        )
    if not path.is_file():
        raise DataError(
            f"{displayed(path)} is not a regular file. Name a folder of images or a Parquet file."
        )
    return open_parquet([path], displayed(path))


def _open_folder(folder: Path) -> Source:
    listing = list_folder(folder)
    shards = [] if listing.images else listing.parquet
    if listing.images and listing.parquet:
        listing.left_out["Parquet files beside images"] = listing.parquet
    left_out = listing.describe_left_out()
    if not listing.images and not shards:
        raise DataError(_nothing_in(folder, listing, left_out))
    if left_out:
        _log.warning("left out of %s: %s", displayed(folder), left_out)
    if shards:
        check_one_split(displayed(folder), shards)
        return open_parquet([folder / shard for shard in shards], displayed(folder))
    return open_folder(folder, listing)


def _nothing_in(folder: Path, listing: Listing, left_out: str) -> str:
    accepted = ", ".join(sorted(SUFFIXES))
    found = f" It holds: {left_out}." if listing.left_out else ""
    return (
        f"{displayed(folder)} holds no image.{found} Accepted are files in the formats of {accepted}, and "
        "Parquet files."
    )


def _open_pattern(path: Path) -> Source:
    # A pattern may begin at the root, which Path.glob does not take.
    matching = [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207
    files = [file for file in matching if file.is_file() and file.suffix == ".parquet"]
    if not files:
        raise DataError(f"There is no {displayed(path)}. Name a folder of images or a Parquet file.")
    others = len(matching) - len(files)
    if others:
        _log.warning("left out of %s: %d that are not Parquet files", displayed(path), others)
    check_one_split(displayed(path), files)
    return open_parquet(files, displayed(path))
