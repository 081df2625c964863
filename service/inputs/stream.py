"""A stream of images, read piece by piece: what it consists of, and what all of its formats share."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from service.errors import ServiceError
from service.inference.results import Failed
from service.settings import Settings


@dataclass(frozen=True)
class StreamLimits:
    """How much a stream may hold.

    Attributes:
        image_bytes: most bytes of one encoded image; what is longer is never held in memory.
        items: most items of one stream.
        archive_bytes: most bytes of an archive that cannot be read before it is complete.
        batch_bytes: most bytes of a part that is held as a whole and holds several items.
    """

    image_bytes: int
    items: int
    archive_bytes: int
    batch_bytes: int = 64 * 2**20

    @classmethod
    def of(cls, settings: Settings) -> "StreamLimits":
        return cls(
            settings.max_image_bytes,
            settings.max_stream_items,
            settings.max_archive_bytes,
            settings.max_request_bytes,
        )


# A vector is embedded by no model, so that many more of them go through in the time of an image.
VECTOR_WEIGHT = 1
IMAGE_WEIGHT = 32


@dataclass(frozen=True, slots=True)
class BareVector:
    """A vector that a client sends in place of an image: an array, or what it sent in place of numbers."""

    numbers: object

    @property
    def size(self) -> int:
        """Bytes of its numbers."""
        return self.numbers.nbytes if isinstance(self.numbers, np.ndarray) else 0


@dataclass(frozen=True, slots=True)
class StreamItem:
    """One item of a stream.

    Attributes:
        index: its place in the stream, from 0.
        id: the client's name for it, or the index where the client has none.
        content: the encoded image, a vector in its place, or why there is neither.
        metadata: as sent, unchecked.
    """

    index: int
    id: str
    content: bytes | BareVector | Failed
    metadata: object = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of its image."""
        return len(self.content) if isinstance(self.content, bytes) else 0

    @property
    def held(self) -> int:
        """Bytes that it takes while it waits."""
        return self.content.size if isinstance(self.content, BareVector) else self.size

    @property
    def weight(self) -> int:
        """The part that it takes of a chunk or a window, where an image takes `IMAGE_WEIGHT`."""
        return VECTOR_WEIGHT if isinstance(self.content, BareVector) else IMAGE_WEIGHT


Groups = AsyncGenerator[Sequence[StreamItem], None]
"""A stream's items in order, several at a time: as many as were there at once."""


class StreamParser(ABC):
    """Turns a body that arrives in pieces of any size into items. One object reads one body."""

    def __init__(self, limits: StreamLimits) -> None:
        self._limits = limits
        self._count = 0
        self._complete: list[StreamItem] = []

    @abstractmethod
    def feed(self, data: bytes) -> None:
        """Read the next piece.

        Raises:
            ServiceError: the stream cannot be read on; items from before the damage can still be taken.
        """

    @abstractmethod
    def finish(self) -> None:
        """The body is over.

        Raises:
            ServiceError: it ended too early; as in `feed`.
        """

    def close(self) -> None:  # noqa: B027 (not every format has something to let go of)
        """Nothing more will be read: let go of what refers back to this object.

        A cycle would keep the body's bytes until Python's collector comes to it, which may take minutes.
        """

    def take(self) -> list[StreamItem]:
        """The items that have been completed since the last call."""
        complete, self._complete = self._complete, []
        return complete

    def _add(
        self, name: str | None, content: bytes | BareVector | Failed, metadata: object | None = None
    ) -> None:
        if self._count == self._limits.items:
            raise too_many_items(self._limits.items)
        index = self._count
        self._count += 1
        item_id = str(index) if name is None else name
        self._complete.append(StreamItem(index, item_id, content, {} if metadata is None else metadata))


async def parsed(pieces: AsyncIterator[bytes], parser: StreamParser) -> Groups:
    """Yield the items of a body, each as soon as its last byte is there.

    Raises:
        ServiceError: the stream cannot be read on; the items before the damage have been yielded.
    """
    try:
        async for piece in pieces:
            parser.feed(piece)
            if items := parser.take():
                yield items
        parser.finish()
    except ServiceError:
        if items := parser.take():
            yield items
        raise
    finally:
        parser.close()
    if items := parser.take():
        yield items


def too_many_items(limit: int) -> ServiceError:
    return ServiceError(
        413,
        "too_many_items",
        f"The stream holds more than {limit:,} items. Send the rest in another request "
        "or raise INFOMAX_MAX_STREAM_ITEMS.",
        limit=limit,
        setting="INFOMAX_MAX_STREAM_ITEMS",
    )


def damaged_stream(message: str) -> ServiceError:
    return ServiceError(422, "damaged_stream", message)
