"""Chunks of a batch: a few images, sent in short requests until each has its answer.

Nothing here sends. A chunk reads its files when it is sent, so that only what is on its way is held.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from infomax.client.errors import (
    TEMPORARY_CODES,
    ImageInputError,
    RequestRefusedError,
    ServiceUnreachableError,
)
from infomax.client.image_input import encoded, is_link
from infomax.client.results import ImageFailure

R = TypeVar("R", covariant=True)

_CHUNK_BYTES = 2**20
_MOST_ITEMS = 512
# Of the first chunks, before the size of an image is known.
_FIRST_ITEMS = 16
# A request is not longer, but for one image.
_REQUEST_BYTES = 4 * 2**20


@dataclass(slots=True)
class Entry:
    """One image, or item, to send.

    Attributes:
        index: its place in the batch, from 0.
        id: the caller's name for it.
        image: an `ImageInput`; None for a bare vector.
        vector: numbers in place of an image.
        metadata: of an item to store.
    """

    index: int
    id: str
    image: Any
    vector: list[float] | None = None
    metadata: Any = None


class Job(Protocol[R]):
    """What a batch asks of the service, and how its answers are read."""

    @property
    def path(self) -> str: ...
    @property
    def query(self) -> dict[str, str]: ...
    @property
    def content_type(self) -> str: ...
    @property
    def most_bytes(self) -> int: ...
    def body(self, entries: Sequence[tuple[Entry, bytes]]) -> bytes:
        """Write the body of a request."""

    def result(self, entry: Entry, line: dict[str, Any]) -> R:
        """Read the line of an image that did not fail."""


class ChunkSize:
    """Number of images of the next chunk, so that chunks of any images have about as many bytes."""

    def __init__(self) -> None:
        self._items = _FIRST_ITEMS

    @property
    def items(self) -> int:
        return self._items

    def learn(self, images: int, size: int) -> None:
        """Take in how large some images were."""
        if images:
            self._items = max(1, min(_MOST_ITEMS, _CHUNK_BYTES * images // max(size, 1)))


class Chunk(Generic[R]):
    """Images that are sent together; their results in order once nothing is left to send."""

    def __init__(self, entries: Sequence[Entry], job: Job[R], size: ChunkSize) -> None:
        self._entries = entries
        self._job = job
        self._size = size
        self._results: list[R | ImageFailure | None] = [None] * len(entries)
        self._next = 0

    @property
    def results(self) -> list[R | ImageFailure]:
        """The results, one for each image."""
        return [one for one in self._results if one is not None]

    def links(self) -> list[tuple[int, str]]:
        """List the images that have to be fetched first, by their places."""
        return [(place, one.image) for place, one in enumerate(self._entries) if is_link(one.image)]

    def fetched(self, place: int, content: bytes | ImageInputError) -> None:
        """Put the content of a link in its place."""
        if isinstance(content, bytes):
            self._entries[place].image = content
        else:
            self._fail(place, content)

    def next_part(self) -> "Part[R] | None":
        """Read the files of the next request; None if nothing is left to send."""
        taken: list[tuple[int, bytes]] = []
        size = 0
        while self._next < len(self._entries) and size < _REQUEST_BYTES:
            place, self._next = self._next, self._next + 1
            if self._results[place] is not None:
                continue
            entry = self._entries[place]
            try:
                content = b"" if entry.vector is not None else encoded(entry.image, self._job.most_bytes)
            except ImageInputError as error:
                self._fail(place, error)
                continue
            entry.image = None  # a large array, or the bytes: not held twice
            taken.append((place, content))
            size += len(content)
        self._size.learn(len(taken), size)
        return Part(self, taken) if taken else None

    def take(self, place: int, line: dict[str, Any]) -> None:
        """Take in the answer to one image.

        Raises:
            RequestRefusedError: the image failed for now, and every later one would too.
        """
        entry = self._entries[place]
        if line["status"] == "ok":
            self._results[place] = self._job.result(entry, line)
            return
        code, message = line["error"]["code"], line["error"]["message"]
        if code in TEMPORARY_CODES:
            raise RequestRefusedError(0, code, message)
        self._results[place] = ImageFailure(entry.index, entry.id, code, message)

    def _fail(self, place: int, error: ImageInputError) -> None:
        entry = self._entries[place]
        self._results[place] = ImageFailure(entry.index, entry.id, error.code, error.message)

    def request(self, contents: Sequence[tuple[int, bytes]]) -> bytes:
        """Write the body of a request with these images."""
        return self._job.body([(self._entries[place], content) for place, content in contents])


class Part(Generic[R]):
    """Images of one request. It may be sent again and again: each time those that have no answer yet."""

    def __init__(self, chunk: Chunk[R], contents: list[tuple[int, bytes]]) -> None:
        self._chunk = chunk
        self._left = contents
        self._answered = 0
        self._rest = b""
        self._complete = False
        self._failure: RequestRefusedError | None = None

    def body(self) -> bytes:
        """Begin a request: its body."""
        self._left = self._left[self._answered :]
        self._answered, self._rest, self._complete, self._failure = 0, b"", False, None
        return self._chunk.request(self._left)

    def feed(self, piece: bytes) -> None:
        """Read the next piece of the answer.

        Raises:
            RequestRefusedError: the images from here on failed for now.
        """
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            if line:
                # A text: for bytes, the parser first guesses their encoding.
                self._take(json.loads(line.decode()))

    def finish(self) -> None:
        """Conclude the answer.

        Raises:
            RequestRefusedError: the service ended the stream early, and says why.
            ServiceUnreachableError: the answer was cut short.
        """
        if self._answered == len(self._left):
            return
        if self._failure is None:
            raise ServiceUnreachableError(
                f"The answer ends after {self._answered} of {len(self._left)} images. "
                "The service stopped, or a proxy between closed the connection."
            )
        if self._answered:
            # The images behind are sent again, however this request ended.
            raise ServiceUnreachableError(str(self._failure)) from self._failure
        raise self._failure

    def _take(self, line: dict[str, Any]) -> None:
        if "index" in line:
            place, _ = self._left[self._answered]
            self._chunk.take(place, line)
            self._answered += 1
        elif "error" in line:
            error = line["error"]
            self._failure = RequestRefusedError(
                0, error["code"], error["message"], limit=error.get("limit"), setting=error.get("setting")
            )


def chunks_of(entries: Iterable[Entry], job: Job[R]) -> Iterator[Chunk[R]]:
    """Cut entries into chunks, whose size follows that of the images."""
    size = ChunkSize()
    gathered: list[Entry] = []
    failure: Exception | None = None
    try:
        for entry in entries:
            gathered.append(entry)
            if len(gathered) >= size.items:
                yield Chunk(gathered, job, size)
                gathered = []
    except Exception as error:  # the caller's, raised once what came before it is sent
        failure = error
    if gathered:
        yield Chunk(gathered, job, size)
    if failure is not None:
        raise failure
