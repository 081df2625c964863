"""A chunk sends each image until it has an answer, and none twice."""

import io
import json
import tarfile
from typing import Any

import pytest

from infomax.client.calls import SearchOptions
from infomax.client.chunks import Chunk, ChunkSize, Part, chunks_of
from infomax.client.errors import ImageInputError, RequestRefusedError, ServiceUnreachableError
from infomax.client.jobs import BatchJob, image_entries
from infomax.client.results import ImageFailure, ImageResult
from infomax.client.tables import to_numpy

MOST = 10_000
JOB = BatchJob(("embedding",), SearchOptions(), None, None, MOST)
VECTOR = "AACAPwAAAEA="
"""float32 [1, 2]."""


def chunk_of(*images: Any) -> Chunk[ImageResult]:
    return Chunk([*image_entries(images)], JOB, ChunkSize())


def part_of(chunk: Chunk[ImageResult]) -> Part[ImageResult]:
    part = chunk.next_part()
    assert part is not None
    return part


def sent(part: Part[Any]) -> list[bytes]:
    with tarfile.open(fileobj=io.BytesIO(part.body())) as archive:
        files = [archive.extractfile(member) for member in archive.getmembers()]
        return [file.read() for file in files if file is not None]


def line(index: int, **members: Any) -> bytes:
    answer = {"index": index, "id": "x", "status": "ok", "embedding": VECTOR} | members
    return json.dumps(answer).encode() + b"\n"


def error(code: str) -> dict[str, Any]:
    return {"status": "error", "error": {"code": code, "message": "a sentence"}}


def test_answers_may_arrive_in_any_pieces() -> None:
    chunk = chunk_of(b"a", b"b", b"c")
    part = part_of(chunk)
    assert sent(part) == [b"a", b"b", b"c"]
    answer = line(0) + line(1, **error("corrupt_image")) + line(2) + b'{"summary": {"complete": true}}\n'
    for at in range(len(answer)):
        part.feed(answer[at : at + 1])
    part.finish()
    first, second, third = chunk.results
    assert isinstance(first, ImageResult)
    assert first.embedding is not None
    assert first.embedding.tolist() == [1, 2]
    assert second == ImageFailure(1, "1", "corrupt_image", "a sentence")
    assert (third.index, third.id) == (2, "2")
    assert chunk.next_part() is None


def test_an_answer_that_is_cut_short_leaves_the_rest_to_send() -> None:
    chunk = chunk_of(b"a", b"b", b"c")
    part = part_of(chunk)
    sent(part)
    part.feed(line(0) + line(1)[:20])
    with pytest.raises(ServiceUnreachableError, match="after 1 of 3 images"):
        part.finish()
    assert sent(part) == [b"b", b"c"]
    part.feed(line(0) + line(1))
    part.finish()
    assert [one.index for one in chunk.results] == [0, 1, 2]


@pytest.mark.parametrize("code", ["shutting_down", "index_unavailable", "quota_exceeded"])
def test_a_failure_that_passes_is_not_a_result(code: str) -> None:
    chunk = chunk_of(b"a", b"b")
    part = part_of(chunk)
    sent(part)
    with pytest.raises(RequestRefusedError, match=code):
        part.feed(line(0) + line(1, **error(code)))
    assert sent(part) == [b"b"]


def test_the_reason_of_a_stream_that_ends_early_is_raised() -> None:
    part = part_of(chunk_of(b"a", b"b"))
    sent(part)
    part.feed(b'{"error": {"code": "damaged_stream", "message": "why"}}\n{"summary": {"complete": false}}\n')
    with pytest.raises(RequestRefusedError, match="damaged_stream: why"):
        part.finish()


def test_a_stream_that_ends_early_after_some_answers_is_gone_on_with() -> None:
    part = part_of(chunk_of(b"a", b"b"))
    sent(part)
    part.feed(line(0) + b'{"error": {"code": "answers_not_read", "message": "why"}}\n')
    with pytest.raises(ServiceUnreachableError, match="answers_not_read"):
        part.finish()
    assert sent(part) == [b"b"]


def test_what_cannot_be_read_fails_in_its_place_and_is_not_sent() -> None:
    chunk = chunk_of("nowhere.jpg", b"a", bytes(MOST + 1), 5)
    part = part_of(chunk)
    assert sent(part) == [b"a"]
    part.feed(line(0))
    part.finish()
    assert chunk.next_part() is None
    codes = [one.code if isinstance(one, ImageFailure) else "ok" for one in chunk.results]
    assert codes == ["unreadable_file", "ok", "image_too_large", "unsupported_input"]
    ids, vectors, failures = to_numpy(chunk.results)
    assert (ids, vectors.tolist(), len(failures)) == (["1"], [[1, 2]], 3)


def test_links_are_sent_as_what_was_fetched() -> None:
    chunk = chunk_of(b"a", "http://a/b", "https://a/c")
    assert chunk.links() == [(1, "http://a/b"), (2, "https://a/c")]
    chunk.fetched(1, b"fetched")
    chunk.fetched(2, ImageInputError("fetch_failed", "why"))
    assert sent(part_of(chunk)) == [b"a", b"fetched"]
    assert [one.id for one in chunk.results] == ["https://a/c"]


def test_a_request_has_few_bytes_however_large_the_images_are() -> None:
    job = BatchJob(("embedding",), SearchOptions(), None, None, 2**22)
    chunk = Chunk([*image_entries([bytes(3 * 2**20)] * 4)], job, ChunkSize())
    sizes = []
    while (part := chunk.next_part()) is not None:
        sizes.append(len(sent(part)))
        part.feed(b"".join(map(line, range(sizes[-1]))))
        part.finish()
    assert sizes == [2, 2]
    assert len(chunk.results) == 4


@pytest.mark.parametrize(("image", "expected"), [(1000, 512), (100_000, 10), (3 * 2**20, 1)])
def test_chunks_follow_the_size_of_the_images(image: int, expected: int) -> None:
    size = ChunkSize()
    size.learn(8, 8 * image)
    assert size.items == expected


def test_inputs_are_read_no_further_than_the_chunk() -> None:
    read: list[int] = []

    def images() -> Any:
        for number in range(1000):
            read.append(number)
            yield b"x"

    chunks = chunks_of(image_entries(images()), JOB)
    next(chunks)
    assert len(read) == ChunkSize().items


def test_what_an_input_gave_before_it_failed_is_sent() -> None:
    def images() -> Any:
        yield b"a"
        raise LookupError

    chunks = chunks_of(image_entries(images()), JOB)
    assert sent(part_of(next(chunks))) == [b"a"]
    with pytest.raises(LookupError):
        next(chunks)
