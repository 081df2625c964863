"""GIF, BMP and WebP: what their headers say, and faults that are named."""

import struct

import pytest
from PIL import Image

from contract.images import decode
from tests.contract.refused import RULE, refusal
from tests.pictures import encoded, landscape


def gif_screen(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0)


FRAME = b"," + struct.pack("<HHHHB", 0, 0, 2, 1, 0x80) + bytes((255, 0, 0, 0, 255, 0)) + b"\2\2\x44\n\0;"
COMMENT = b"!\xfe\3abc\0"


def test_a_gif_of_no_width_is_named() -> None:
    error = refusal(gif_screen(0, 32) + FRAME)
    assert (error.code, "The GIF" in str(error), "0 x 32" in str(error)) == ("corrupt_image", True, True)


@pytest.mark.parametrize(
    ("body", "said", "code"),
    [
        (b";", "holds no frame", "corrupt_image"),
        (COMMENT, "before its first frame", "truncated_image"),
        (FRAME[:5], "before its first frame", "truncated_image"),
        (COMMENT[:4], "before its first frame", "truncated_image"),
        (b"!\xff" + b"\1a" * 70_000 + b"\0" + FRAME, "more than 65,536 blocks", "corrupt_image"),
        (COMMENT * 70_000 + FRAME, "more than 65,536 blocks", "corrupt_image"),
    ],
)
def test_what_is_wrong_before_the_first_frame_is_said(body: bytes, said: str, code: str) -> None:
    error = refusal(gif_screen(2, 1) + body)
    assert (error.code, said in str(error)) == (code, True)


def test_extensions_before_the_first_frame_are_skipped() -> None:
    plain = decode(gif_screen(2, 1) + FRAME, RULE)
    assert plain.pixels[16, 2].tolist() == [255, 0, 0]
    for extension in (COMMENT, b"!\xff\3NET\1a\0", b"!\xf9\1\0\0", b"!\xf9\0", b"!\1\0", b"\0\0"):
        decoded = decode(gif_screen(2, 1) + extension + FRAME, RULE)
        assert (decoded.pixels == plain.pixels).all()


def test_transparency_of_a_gif_behind_a_comment_counts() -> None:
    data = encoded(Image.new("P", (32, 32), 0), "GIF", transparency=0, comment=b"a comment")
    assert (decode(data, RULE).pixels == 255).all()


def test_a_frame_larger_than_its_screen_counts_towards_the_pixels() -> None:
    frame = FRAME[:5] + struct.pack("<HH", 60_000, 60_000) + FRAME[9:]
    error = refusal(gif_screen(2, 1) + frame)
    assert (error.code, "3,600,000,000" in str(error)) == ("too_many_pixels", True)


def bmp(width: int, height: int, bits: int = 24, compression: int = 0, masks: tuple[int, ...] = ()) -> bytes:
    behind = struct.pack(f"<{len(masks)}I", *masks)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, 0, 0, 0, 0, 0)
    start = 14 + len(info) + len(behind)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, start) + info + behind + bytes(4 * 16)


def test_the_pixels_of_a_huge_bmp_are_told_as_they_are() -> None:
    error = refusal(bmp(3_000_000, 2_000_000))
    assert (error.code, "6,000,000,000,000" in str(error)) == ("too_many_pixels", True)
    assert "6,000,000,000,000" in str(refusal(bmp(3_000_000, -2_000_000)))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (bmp(4, 4, 32, 3, (0xFF0, 0xFF000, 0xF)), "bit fields"),
        (bmp(4, 4, 64), "64 bits for each pixel"),
        (bmp(4, 4, 24, 4), "an embedded JPEG"),
        (bmp(4, 4, 24, 77), "unknown compression 77"),
    ],
)
def test_a_bmp_of_a_layout_that_is_not_read_is_named(data: bytes, said: str) -> None:
    error = refusal(data)
    assert (error.code, said in str(error)) == ("unsupported_format", True)


def test_a_bmp_of_ordinary_bit_fields_is_read() -> None:
    data = bmp(4, 4, 32, 3, (0xFF0000, 0xFF00, 0xFF))
    assert (decode(data, RULE).pixels == 0).all()


@pytest.mark.parametrize("lossless", [False, True])
def test_the_size_of_a_webp_is_known_before_it_is_decoded(lossless: bool) -> None:
    plain = encoded(landscape(123, 45), "WEBP", lossless=lossless)
    extended = encoded(landscape(123, 45), "WEBP", lossless=lossless, exif=Image.Exif().tobytes())
    for data in (plain, extended):
        decoded = decode(data, RULE)
        assert (decoded.original_width, decoded.original_height) == (123, 45)
        assert refusal(data[:-50]).code == "truncated_image"


def test_a_canvas_of_a_webp_that_is_too_large_is_refused_by_its_header() -> None:
    data = bytearray(encoded(landscape(64, 64), "WEBP", exif=Image.Exif().tobytes()))
    assert data[12:16] == b"VP8X"
    data[24:30] = b"\xff\xff\0\xff\xff\0"
    assert refusal(bytes(data)).code == "too_many_pixels"


def test_a_webp_that_begins_with_another_chunk_is_named() -> None:
    error = refusal(b"RIFF\0\0\0\0WEBPJUNK" + bytes(40))
    assert (error.code, "JUNK" in str(error)) == ("corrupt_image", True)
