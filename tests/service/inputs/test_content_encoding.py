"""Encoded bodies: inflated as they come, refused by name, and never larger than a plain one may be."""

import asyncio
import gzip
import random
import zlib
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from service.errors import ServiceError
from service.inputs import content_encoding
from service.inputs.body import read_body
from service.inputs.content_encoding import body_pieces
from tests.service.streams import cut, pieces_of


def request_of(pieces: Sequence[bytes], **headers: str) -> Request:
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages.append({"type": "http.request", "body": b"", "more_body": False})
    left = iter(messages)

    async def receive() -> dict[str, object]:
        return dict(next(left))

    encoded = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": encoded}, receive)


def body_of(pieces: Sequence[bytes], limit: int = 10**6, **headers: str) -> bytes:
    return asyncio.run(read_body(request_of(pieces, **headers), limit))


def raw_deflate(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflater.compress(data) + deflater.flush()


def as_it_is(data: bytes) -> bytes:
    return data


ENCODERS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("", as_it_is),
    ("identity", as_it_is),
    ("gzip", gzip.compress),
    ("GZIP", gzip.compress),
    ("x-gzip", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", raw_deflate),
]


@pytest.mark.parametrize(("coding", "encode"), ENCODERS)
@given(data=st.binary(max_size=3000), places=st.lists(st.integers(0, 100), max_size=5))
def test_a_body_arrives_as_it_was_however_it_is_cut(
    coding: str, encode: Callable[[bytes], bytes], data: bytes, places: list[int]
) -> None:
    body = encode(data * 20)
    pieces = cut(body, sorted(min(place, len(body)) for place in places))
    assert body_of(pieces, content_encoding=coding) == data * 20


def test_gzip_files_that_were_joined_are_read_one_after_the_other() -> None:
    body = gzip.compress(b"first") + gzip.compress(b"second")
    for places in ([], [3], range(1, len(body))):
        assert body_of(cut(body, places), content_encoding="gzip") == b"firstsecond"


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, gzip", "deflate, br", "aes128gcm"])
def test_any_other_coding_is_refused_by_name(coding: str) -> None:
    with pytest.raises(ServiceError, match=coding) as caught:
        body_of([b"x"], content_encoding=coding)
    assert (caught.value.status, caught.value.code) == (415, "unsupported_encoding")


@pytest.mark.parametrize(
    ("coding", "body", "said"),
    [
        ("gzip", b"not gzip", "incorrect header"),
        ("gzip", b"", "stops early"),
        ("gzip", gzip.compress(b"x" * 100, mtime=0)[:-4], "stops early"),
        ("gzip", gzip.compress(b"x" * 100, mtime=0) + b"more", "incorrect header"),
        ("deflate", zlib.compress(b"x" * 100)[:-1], "stops early"),
        ("deflate", zlib.compress(b"x" * 100) + b"more", "behind its end"),
        ("deflate", b"\xff\xff\xff", "invalid"),
        ("deflate", b"x", "stops early"),
    ],
)
def test_a_body_that_is_not_what_its_header_says_is_refused(coding: str, body: bytes, said: str) -> None:
    with pytest.raises(ServiceError, match=said) as caught:
        body_of([body], content_encoding=coding)
    assert (caught.value.status, caught.value.code) == (400, "invalid_encoding")


def test_a_bomb_is_inflated_no_further_than_the_limit() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    assert len(bomb) < 60_000

    async def inflated(most: int) -> int:
        """Read on until so much has come; return how much more came at once."""
        size = 0
        async for piece in body_pieces(request_of([], content_encoding="gzip"), pieces_of([bomb])):
            size += len(piece)
            if size > most:
                break
        return size - most

    assert asyncio.run(inflated(1_000_000)) <= 2**18
    with pytest.raises(ServiceError) as caught:
        body_of([bomb], limit=1_000_000, content_encoding="gzip")
    assert (caught.value.status, caught.value.code) == (413, "request_too_large")


def test_a_stream_may_not_inflate_to_a_hundred_times_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content_encoding, "_UNSUSPICIOUS_BYTES", 100_000)
    chance = random.Random(1)
    plain, bomb = chance.randbytes(3_000_000), bytes(3_000_000)

    async def inflate(body: bytes) -> int:
        request = request_of([], content_encoding="gzip")
        return sum([len(piece) async for piece in body_pieces(request, pieces_of([body]))])

    assert asyncio.run(inflate(gzip.compress(plain))) == len(plain)
    with pytest.raises(ServiceError, match="more than 100 times") as caught:
        asyncio.run(inflate(gzip.compress(bomb)))
    assert caught.value.code == "invalid_encoding"
