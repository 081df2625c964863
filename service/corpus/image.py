"""One image of a corpus, from whichever kind of source."""

from collections.abc import Callable
from dataclasses import dataclass

from service.inference.results import Failed


@dataclass(frozen=True, slots=True)
class CorpusImage:
    """Image that is read when it is needed.

    Attributes:
        id: name of the image in the output.
        path: where it lies; that of a member of an archive, or of a row, begins with its file.
        label: its class, where the source names one.
        read: returns the encoded image of at most so many bytes, or why there is none. It is called before
            the next image of the source is taken, or not at all.
    """

    id: str
    path: str
    label: str | None
    read: Callable[[int], bytes | Failed]
