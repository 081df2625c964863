"""Images of folders, of single files, and of lists of files."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from service.corpus.image import CorpusImage
from service.inference.results import Failed
from service.inputs.folder import FolderFile, Hidden, content_of, files_under
from service.inputs.names import shown_path


def folder_images(path: Path, foreign: Callable[[Path], bool], prefix: str) -> Iterator[CorpusImage]:
    """Yield the images below a folder in the order of their names; their labels are its sub-folders.

    Args:
        path: a folder, or one file.
        foreign: whether a file belongs to the corpus.
        prefix: of the ids, which are paths from the folder on.
    """
    for file in files_under(path, Hidden()):
        if foreign(file.path):
            first, slash, _ = file.id.partition("/")
            label = first if slash else None
            yield CorpusImage(prefix + file.id, shown_path(file.path), label, partial(_read, file))


def listed_images(path: Path) -> Iterator[CorpusImage]:
    """Yield the images that a text file names, one path a line, with a label behind a tab.

    Paths are relative to the list. Empty lines are skipped. The id of an image is its path as it is written.
    """
    with path.open("rb") as lines:
        for line in lines:
            text = line.rstrip(b"\r\n").decode("utf-8", "surrogateescape")
            name, _, label = text.partition("\t")
            if not name.strip():
                continue
            file = FolderFile(shown_path(Path(name)), path.parent / name)
            yield CorpusImage(file.id, shown_path(file.path), label or None, partial(_read, file))


def count_lines(path: Path) -> int:
    """Count the images of a list."""
    with path.open("rb") as lines:
        return sum(1 for line in lines if line.split(b"\t")[0].strip())


def _read(file: FolderFile, limit: int) -> bytes | Failed:
    return file.failed or content_of(file.path, limit)
