"""PNG: chunks that do not touch the pixels cost no image, and faults that do are named."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from contract.images import decode
from tests.contract.refused import RULE, refusal
from tests.pictures import encoded, landscape

_SIGNATURE_BYTES = 8
_HEADER_END = _SIGNATURE_BYTES + 25


def chunk(name: bytes, content: bytes, checksum: int | None = None) -> bytes:
    """A chunk with its own checksum, or with another one."""
    if checksum is None:
        checksum = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)


def header(
    width: int = 8,
    height: int = 8,
    depth: int = 8,
    colour: int = 2,
    methods: tuple[int, int, int] = (0, 0, 0),
) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, *methods))


PICTURE = encoded(landscape(40, 40))
SIGNATURE = PICTURE[:_SIGNATURE_BYTES]
ANCILLARY = (
    b"bKGD cHRM eXIf gAMA hIST iCCP iTXt pCAL pHYs sBIT sCAL sPLT sRGB sTER tEXt tIME tRNS zTXt acTL fcTL "
    b"fdAT cICP mDCV cLLI vpAg"
).split()
PLAIN = decode(PICTURE, RULE).pixels


def with_chunk(made: bytes, at: int = _HEADER_END) -> bytes:
    return PICTURE[:at] + made + PICTURE[at:]


@pytest.mark.parametrize("name", ANCILLARY, ids=bytes.decode)
@pytest.mark.parametrize("content", [b"", b"\1", b"a\0bc", b"a\0\1\xff", b"\xff" * 40], ids=repr)
def test_ancillary_chunks_with_any_content_are_skipped(name: bytes, content: bytes) -> None:
    end = len(PICTURE) - 12
    for at in (_HEADER_END, end):
        for checksum in (None, 0):
            decoded = decode(with_chunk(chunk(name, content, checksum), at), RULE)
            assert (decoded.pixels == PLAIN).all()


@pytest.mark.parametrize("name", [b"zTXt", b"iCCP"], ids=bytes.decode)
@pytest.mark.parametrize("method", [0, 1])
def test_metadata_may_be_of_any_size_and_compressed_by_any_method(name: bytes, method: int) -> None:
    content = b"workflow\0" + bytes([method]) + zlib.compress(bytes(2**21))
    assert (decode(with_chunk(chunk(name, content)), RULE).pixels == PLAIN).all()


def test_metadata_between_and_behind_the_pixels_is_skipped_too() -> None:
    pixels = PICTURE.index(b"IDAT") - 4
    length = int.from_bytes(PICTURE[pixels : pixels + 4], "big")
    content = PICTURE[pixels + 8 : pixels + 8 + length]
    halves = chunk(b"IDAT", content[:50]) + chunk(b"tEXt", b"", 1) + chunk(b"IDAT", content[50:])
    assert (decode(PICTURE[:pixels] + halves + chunk(b"IEND", b""), RULE).pixels == PLAIN).all()
    behind = PICTURE[: pixels + 12 + length]
    for rest in (b"", b"\0\0", chunk(b"tEXt", b"abc")[:-2], b"\xff" * 40):
        assert (decode(behind + rest, RULE).pixels == PLAIN).all()


def test_transparency_counts_where_it_is_whole() -> None:
    grey = Image.new("L", (32, 32), 0)
    data = encoded(grey, transparency=0)
    assert (decode(data, RULE).pixels == 255).all()
    at = data.index(b"tRNS")
    broken = data[: at + 6] + b"\xaa\xaa\xaa\xaa" + data[at + 10 :]
    assert (decode(broken, RULE).pixels == 0).all()


def test_an_animation_gives_its_default_image() -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "lime")]
    data = encoded(frames[0], save_all=True, append_images=frames[1:])
    assert b"acTL" in data
    assert decode(data, RULE).pixels[5, 5].tolist() == [255, 0, 0]


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("interlace", [0, 1])
def test_every_depth_of_grey_is_read_interlaced_or_not(depth: int, interlace: int) -> None:
    # One white pixel: the same bytes in the one pass of both orders.
    row = b"\0" + b"\xff" * max(1, depth // 8)
    data = SIGNATURE + header(1, 1, depth, 0, (0, 0, interlace)) + chunk(b"IDAT", zlib.compress(row))
    assert (decode(data + chunk(b"IEND", b""), RULE).pixels == 255).all()


PIXELS = chunk(b"IDAT", zlib.compress(bytes(8 * 25)))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (header(methods=(1, 0, 0)) + PIXELS, "compression method 1"),
        (header(methods=(0, 7, 0)) + PIXELS, "filter method 7"),
        (header(methods=(0, 0, 9)) + PIXELS, "interlace method 9"),
        (header(depth=3) + PIXELS, "colour type 2 with 3 bits"),
        (header(colour=5) + PIXELS, "colour type 5 with 8 bits"),
        (header(width=0) + PIXELS, "0 x 8 pixels"),
        (PIXELS + header(), "first chunk is not a header"),
        (header()[:-1] + b"\0" + PIXELS, "checksum of its header"),
        (header() + chunk(b"IEND", b""), "no pixels"),
        (header(colour=3) + PIXELS + chunk(b"IEND", b""), "no chunk PLTE"),
        (header(colour=3) + chunk(b"PLTE", b"abc", 1) + PIXELS, "checksum of its chunk PLTE"),
        (header() + b"\xff" * 40, "no chunk begins at byte 33"),
        (header() + chunk(b"tEXt", b"") * 70_000 + PIXELS, "more than 65,536 chunks"),
        (header() + chunk(b"IDAT", b"\xff" * 40) + chunk(b"IEND", b""), "The PNG cannot be decoded"),
    ],
)
def test_what_is_wrong_with_a_png_is_said(body: bytes, said: str) -> None:
    error = refusal(SIGNATURE + body)
    assert error.code == "corrupt_image"
    assert said in str(error)
    assert "PNG" in str(error)


def test_an_apple_png_is_named() -> None:
    error = refusal(SIGNATURE + chunk(b"CgBI", b"\x50\0\x20\2") + header() + PIXELS)
    assert (error.code, "CgBI" in str(error)) == ("unsupported_variant", True)


@pytest.mark.parametrize("length", [9, 30, 60, len(PICTURE) // 2, len(PICTURE) - 60])
def test_a_png_that_is_cut_off_is_truncated(length: int) -> None:
    rng = np.random.default_rng(0)
    data = encoded(Image.fromarray(rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)))
    assert refusal(data[:length]).code == "truncated_image"


def test_a_chunk_of_metadata_that_is_cut_off_before_the_pixels_is_truncated() -> None:
    assert refusal(PICTURE[:_HEADER_END] + chunk(b"tEXt", b"abc")[:-2]).code == "truncated_image"
