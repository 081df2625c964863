"""What a command line names as images: folders, patterns, lists, archives and Parquet files."""

import glob
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from contract.errors import InfomaxError
from service.corpus.archives import SUFFIXES, archive_images
from service.corpus.folders import count_lines, folder_images, listed_images
from service.corpus.image import CorpusImage
from service.corpus.parts import CorpusPart, parts_of_files
from service.corpus.tables import count_rows, row_groups, table_images
from service.inputs.folder import Hidden, files_under
from service.inputs.names import shown_path

_LISTS = (".lst", ".txt")
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")


class SourceError(InfomaxError):
    """There is nothing at a place that the command names, or it holds no file."""


@dataclass(frozen=True)
class Sources:
    """Sources in the order of the command line, patterns expanded.

    Attributes:
        paths: absolute, each a folder, a list, an archive, a Parquet file, or an image.
        foreign: tells files that belong to the corpus from those that the run writes.
        hidden: files and folders that were not looked into, known once the images are counted.
    """

    paths: tuple[Path, ...]
    foreign: Callable[[Path], bool] = lambda _path: True
    hidden: Hidden = field(default_factory=Hidden)

    @classmethod
    def of(cls, arguments: Sequence[str], foreign: Callable[[Path], bool]) -> "Sources":
        """Expand `{0..9}` as WebDataset does, and patterns with `*`, `?` and `[…]`.

        Raises:
            SourceError: an argument leads to nothing.
        """
        paths: list[Path] = []
        for argument in (one for each in arguments for one in _ranges(each)):
            path = Path(argument).absolute()
            # A name may hold what a pattern does.
            found = [path] if os.path.lexists(path) else _matches(path)
            if not found:
                raise SourceError(
                    f"There is nothing at {shown_path(path)}. Name a folder of images, a pattern, a list, "
                    "a tar archive, a Parquet file, or an image."
                )
            paths += found
        return cls(tuple(path for path in paths if foreign(path)), foreign)

    def count(self) -> int | None:
        """Count the images; None where an archive would have to be read for it.

        Raises:
            SourceError: there is none.
        """
        total = 0
        for path in self.paths:
            if _is_archive(path):
                return None
            if _is_table(path):
                total += count_rows(path)
            elif _is_list(path):
                total += count_lines(path)
            else:
                total += sum(1 for file in files_under(path, self.hidden) if self.foreign(file.path))
        if not total:
            names = ", ".join(map(shown_path, self.paths))
            raise SourceError(
                f"{names} holds no file{f' but hidden ones: {self.hidden}' if self.hidden.count else ''}."
            )
        return total

    def images(self) -> Iterator[CorpusImage]:
        """Yield all images, always in the same order."""
        for path in self.paths:
            if _is_archive(path):
                yield from archive_images(path)
            elif _is_table(path):
                yield from table_images(path)
            else:
                yield from self._files(path)

    def parts(self, size: int) -> Iterator[CorpusPart]:
        """Cut the images, in their order, into parts of about `size` that another process can read.

        An archive is one part, and so is a row group of a Parquet file: each is read from its beginning on.
        """
        for path in self.paths:
            if _is_archive(path):
                yield CorpusPart(partial(archive_images, path))
            elif _is_table(path):
                for groups, rows in row_groups(path, size):
                    yield CorpusPart(partial(table_images, path, groups), rows)
            else:
                yield from parts_of_files(self._files(path), size)

    def _files(self, path: Path) -> Iterator[CorpusImage]:
        if _is_list(path):
            return listed_images(path)
        # Of several folders, equal names below them must not become one.
        alone = len(self.paths) == 1
        prefix = "" if alone else f"{shown_path(path if path.is_dir() else path.parent)}/"
        return folder_images(path, self.foreign, prefix)


def _matches(pattern: Path) -> list[Path]:
    return sorted(map(Path, glob.glob(str(pattern), recursive=True)))  # noqa: PTH207 (the pattern is a whole path)


def _ranges(argument: str) -> Iterator[str]:
    found = None if os.path.lexists(argument) else _RANGE.search(argument)
    if found is None:
        yield argument
        return
    for number in range(int(found[1]), int(found[2]) + 1):
        yield from _ranges(
            argument[: found.start()] + str(number).zfill(len(found[1])) + argument[found.end() :]
        )


def _is_archive(path: Path) -> bool:
    return path.name.lower().endswith(SUFFIXES) and path.is_file()


def _is_table(path: Path) -> bool:
    return path.suffix.lower() == ".parquet" and path.is_file()


def _is_list(path: Path) -> bool:
    return path.suffix.lower() in _LISTS and path.is_file()
