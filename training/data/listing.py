"""What lies in a folder: images, Parquet files, and everything else with the reason why it is left out."""

import os
import stat
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from contract.image_formats import FORMATS
from training.data.files import displayed, first_bytes

# Of formats that are read.
SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif", ".heic"}
    | {".heif"}
)
# Of images in formats that are not: they count among the images, as unreadable ones.
_OTHER_SUFFIXES = frozenset({".jp2", ".jxl", ".psd", ".dng", ".ico"})
# JPEG 2000, JPEG XL in a container, Photoshop.
_OTHER_HEADS = (b"\0\0\0\x0cjP  ", b"\0\0\0\x0cJXL ", b"8BPS")
_HEAD = 32
_NAMED = 5


@dataclass
class Listing:
    """Content of a folder; paths are relative to it and sorted.

    Attributes:
        images: files that are images, readable or not.
        parquet: Parquet files.
        left_out: all else by its reason.
    """

    images: list[Path] = field(default_factory=list)
    parquet: list[Path] = field(default_factory=list)
    left_out: dict[str, list[Path]] = field(default_factory=lambda: defaultdict(list))

    def describe_left_out(self) -> str:
        """Count what is left out by reason, and name some of each; empty where nothing is."""
        return "; ".join(
            f"{len(paths):,} {reason} ({_some(paths)})" for reason, paths in sorted(self.left_out.items())
        )


def list_folder(folder: Path) -> Listing:
    """List a folder at any depth; links to files and folders are followed, each folder once.

    Raises:
        OSError: the folder itself cannot be read.
    """
    found = Listing()
    seen: set[tuple[int, int]] = set()
    links: list[Path] = []
    _walk(folder, Path(), found, seen, links)
    while links:
        # After all real folders, so that a link to one of them is what is left out.
        link = links.pop(0)
        if _identity(folder / link) in seen:
            found.left_out["links to folders that are taken already"].append(link)
        else:
            _walk(folder, link, found, seen, links)
    found.images.sort(key=_order)
    found.parquet.sort(key=_order)
    return found


def _walk(root: Path, start: Path, found: Listing, seen: set[tuple[int, int]], links: list[Path]) -> None:
    folders = [start]
    while folders:
        folder = folders.pop()
        seen.add(_identity(root / folder))
        try:
            entries = sorted(os.scandir(root / folder), key=lambda entry: os.fsencode(entry.name))
        except OSError as error:
            if folder == Path():
                raise
            found.left_out[f"folders that cannot be read: {error.strerror}"].append(folder)
            continue
        for entry in entries:
            path = folder / entry.name
            if entry.name.startswith("."):
                found.left_out["hidden"].append(path)
            elif entry.is_dir(follow_symlinks=False):
                folders.append(path)
            elif entry.is_dir():
                links.append(path)
            else:
                _sort_file(root, path, found)


def _sort_file(root: Path, path: Path, found: Listing) -> None:
    suffix = path.suffix.lower()
    try:
        regular = stat.S_ISREG((root / path).stat().st_mode)
    except OSError:
        # A link to nothing. As an image it is an unreadable one, reported with the others later.
        if suffix in SUFFIXES or suffix in _OTHER_SUFFIXES:
            found.images.append(path)
        else:
            found.left_out["links to nothing"].append(path)
        return
    if not regular:
        found.left_out["not regular files"].append(path)
    elif suffix in SUFFIXES or suffix in _OTHER_SUFFIXES:
        found.images.append(path)
    elif suffix == ".parquet":
        found.parquet.append(path)
    else:
        _sort_by_content(root, path, found)


def _sort_by_content(root: Path, path: Path, found: Listing) -> None:
    """Take files without an image's suffix for images by their first bytes."""
    try:
        head = first_bytes(root / path, _HEAD)
    except OSError as error:
        found.left_out[f"files that cannot be read: {error.strerror or error}"].append(path)
        return
    if any(one.matches(head) for one in FORMATS) or head.startswith(_OTHER_HEADS):
        found.images.append(path)
    else:
        found.left_out["not images"].append(path)


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _order(path: Path) -> bytes:
    return os.fsencode(path.as_posix())


def _some(paths: list[Path]) -> str:
    return ", ".join(_names(paths))


def _names(paths: list[Path]) -> Iterator[str]:
    for path in paths[:_NAMED]:
        yield displayed(path.as_posix())
    if len(paths) > _NAMED:
        yield "…"
