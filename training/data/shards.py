"""Parquet files that together are one set of images."""

import re
from collections.abc import Sequence
from pathlib import Path

from training.data.splits import SPLITS
from training.errors import DataError

_SPLITS = re.compile(rf"^({'|'.join(SPLITS)})(?![a-z])", re.IGNORECASE)


def check_one_split(name: str, files: Sequence[Path]) -> None:
    """Refuse files of several splits, such as `train-…` beside `test-…`: they were kept apart on purpose.

    Args:
        name: what the user named.
        files: that it holds.

    Raises:
        DataError: naming the splits.
    """
    splits = sorted({split for file in files if (split := _split(file))})
    if len(splits) > 1:
        raise DataError(
            f"{name} holds Parquet files of several splits: {', '.join(splits)}. Name one of them, such as "
            f"'{name}/**/{splits[0]}*.parquet'."
        )


def _split(file: Path) -> str:
    """Read the split off a file's name, or off the nearest folder that has one."""
    for part in (file.stem, *reversed(file.parent.parts)):
        found = _SPLITS.match(part)
        if found:
            return found[1].lower()
    return ""
