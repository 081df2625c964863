"""Sizes that are read without the decoder, held against what it says."""

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from contract.image_formats import ALLOWED_FORMATS, read_header
from service.inference.image_size import UNREADABLE, ImageSize, image_size
from tests.pictures import encoded, landscape, photo

SEGMENT = b"\xff\xed" + (2 + 40).to_bytes(2, "big") + bytes(40)


@pytest.mark.parametrize("image_format", ALLOWED_FORMATS)
@pytest.mark.parametrize("size", [(1, 1), (33, 7), (640, 480)])
def test_every_format_has_its_kind_and_its_pixels(image_format: str, size: tuple[int, int]) -> None:
    kind, pixels = image_size(photo(1, *size, image_format))
    # The encoder of HEIC codes blocks, of which a property cuts what is beyond the image.
    least = 64 if image_format == "HEIC" else 1
    assert (kind, pixels) == (image_format, max(size[0], least) * max(size[1], least))


def test_a_progressive_jpeg_is_a_kind_of_its_own() -> None:
    data = encoded(landscape(64, 48), "JPEG", progressive=True)
    assert image_size(data) == ("progressive JPEG", 64 * 48)


def with_segments(segments: bytes) -> bytes:
    data = photo(1, 64, 48)
    return data[:2] + segments + data[2:]


@pytest.mark.parametrize(
    "segments",
    [SEGMENT, 60 * SEGMENT, 300 * SEGMENT, b"\xff\xff\xff", b"\xff\x01", SEGMENT + b"\x00junk"],
    ids=["one", "some", "many", "fill bytes", "a marker alone", "junk"],
)
def test_whatever_stands_before_the_frame_the_decoder_and_the_estimate_agree(segments: bytes) -> None:
    data = with_segments(segments)
    header = read_header(data)
    assert image_size(data).pixels == header.width * header.height == 64 * 48


def test_a_photograph_of_a_phone_is_read() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "x" * 60_000
    file = BytesIO()
    landscape(64, 48).save(file, "JPEG", exif=exif, icc_profile=bytes(200_000))
    assert image_size(file.getvalue()) == ImageSize("JPEG", 64 * 48)


@pytest.mark.parametrize("image_format", ALLOWED_FORMATS)
def test_what_is_cut_off_is_no_work(image_format: str) -> None:
    assert image_size(photo(1, 64, 48, image_format)[:12]) == UNREADABLE


@given(
    st.binary(max_size=200), st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM"])
)
def test_no_bytes_make_it_fail(data: bytes, start: bytes) -> None:
    image_size(start + data)
