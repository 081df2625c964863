"""Parts of a corpus, each of which another process can read by itself."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice

from service.corpus.image import CorpusImage


@dataclass(frozen=True, slots=True)
class CorpusPart:
    """Consecutive images of a corpus. A part can be pickled, and holds no content of an image.

    Attributes:
        opened: lists the images.
        count: their number; None where the source has to be read for it.
        skipped: number of the first ones, which are left out.
    """

    opened: Callable[[], Iterator[CorpusImage]]
    count: int | None = None
    skipped: int = 0

    def images(self) -> Iterator[CorpusImage]:
        """Yield the images that are not left out."""
        return islice(self.opened(), self.skipped, None)


def parts_of_files(images: Iterator[CorpusImage], size: int) -> Iterator[CorpusPart]:
    """Cut images of files, which are read wherever they are listed, into parts of `size`."""
    while some := tuple(islice(images, size)):
        yield CorpusPart(partial(iter, some), len(some))


def behind(parts: Iterable[CorpusPart], done: int) -> Iterator[CorpusPart]:
    """Yield what is left of a corpus whose first `done` images are done."""
    for part in parts:
        if done:
            count = sum(1 for _ in part.images()) if part.count is None else part.count
            if count <= done:
                done -= count
                continue
        yield replace(part, skipped=done)
        done = 0
