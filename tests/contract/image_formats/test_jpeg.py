"""JPEG: where its image ends, whether all of it is there, and which variants are not decoded."""

import re
from random import Random
from typing import Any

import numpy as np
import pytest
from PIL import Image

from contract.errors import ImageError
from contract.image_limits import ImageLimits
from contract.images import decode, open_rgb
from tests.contract.refused import RULE, refusal
from tests.pictures import encoded, landscape

VARIANTS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "no subsampling": {"subsampling": 0},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_blocks": 4},
    "progressive with restarts": {"progressive": True, "restart_marker_rows": 1},
}
_START_OF_SCAN = b"\xff\xda"
_END = b"\xff\xd9"
_BOX = b"\0\0\0\x18ftypmp42"


def noisy(mode: str = "RGB") -> Image.Image:
    rng = np.random.default_rng(0)
    smooth = np.asarray(landscape(96, 64)).astype(int)
    return Image.fromarray(
        (smooth + rng.integers(-20, 20, smooth.shape)).clip(0, 255).astype(np.uint8)
    ).convert(mode)


@pytest.mark.parametrize("size", [(32, 32), (640, 480)])
def test_what_a_phone_appends_counts_neither_as_scans_nor_as_pixels(size: tuple[int, int]) -> None:
    picture = encoded(landscape(*size), "JPEG")
    video = _BOX + Random(1).randbytes(2**20) + _START_OF_SCAN * 1000
    assert (decode(picture + video, RULE).pixels == decode(picture, RULE).pixels).all()


def test_a_thumbnail_in_a_segment_counts_no_scans() -> None:
    picture = encoded(landscape(64, 64), "JPEG")
    thumbnail = _START_OF_SCAN * 30_000
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    inside = picture[:2] + segment + picture[2:]
    between = picture[:-2] + segment + _END
    for data in (inside, between):
        assert (decode(data, RULE).pixels == decode(picture, RULE).pixels).all()


def with_height_behind_its_scan(data: bytes, height: int) -> bytes:
    """Move a height from the frame header to a segment DNL behind the first scan."""
    frame = next(data.index(marker) for marker in (b"\xff\xc0", b"\xff\xc2") if marker in data)
    scan = data.index(_START_OF_SCAN)
    (end,) = [match.start() for match in re.finditer(rb"\xff[\xc0-\xcf\xd8-\xfe]", data[scan + 2 :])][:1]
    end += scan + 2
    lines = b"\xff\xdc\0\x04" + height.to_bytes(2, "big")
    return data[: frame + 5] + b"\0\0" + data[frame + 7 : end] + lines + data[end:]


@pytest.mark.parametrize("name", VARIANTS)
def test_a_height_behind_the_first_scan_is_read(name: str) -> None:
    data = encoded(noisy(), "JPEG", **VARIANTS[name])
    late = with_height_behind_its_scan(data, 64)
    assert open_rgb(late).tobytes() == open_rgb(data).tobytes()
    large = with_height_behind_its_scan(data, 60_000)
    assert refusal(large, limits=ImageLimits(max_pixels=96 * 64)).code == "too_many_pixels"


def test_a_height_that_stands_nowhere_is_refused() -> None:
    data = encoded(noisy(), "JPEG")
    frame = data.index(b"\xff\xc0")
    assert refusal(data[: frame + 5] + b"\0\0" + data[frame + 7 :]).code == "corrupt_image"


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("name", VARIANTS)
def test_a_file_without_its_end_marker_is_read(name: str, mode: str) -> None:
    data = encoded(noisy(mode), "JPEG", **VARIANTS[name])
    assert data.endswith(_END)
    for cut in (data[:-2], data[:-1]):
        assert open_rgb(cut).tobytes() == open_rgb(data).tobytes()


@pytest.mark.parametrize("name", VARIANTS)
def test_a_file_cut_anywhere_is_refused_or_gives_every_pixel(name: str) -> None:
    data = encoded(noisy(), "JPEG", **VARIANTS[name])
    whole = open_rgb(data).tobytes()
    refused = 0
    for length in [*range(len(data) - 40, len(data)), *range(30, len(data), 23)]:
        try:
            assert open_rgb(data[:length]).tobytes() == whole, length
        except ImageError as error:
            assert error.code == "truncated_image"
            refused += 1
    assert refused > len(data) // 23


def test_a_progressive_file_cut_between_two_scans_is_refused() -> None:
    data = encoded(noisy(), "JPEG", progressive=True)
    last = data.rindex(_START_OF_SCAN)
    assert refusal(data[:last]).code == "truncated_image"


@pytest.mark.parametrize("code", [0xE0, 0xE1, 0xE2, 0xED, 0xEE, 0xFE])
@pytest.mark.parametrize("content", [b"", b"JFIF\0", b"Exif\0\0", b"MPF\0", b"ICC_PROFILE\0", b"Adobe"])
def test_segments_of_metadata_that_are_too_short_are_skipped(code: int, content: bytes) -> None:
    picture = encoded(landscape(64, 64), "JPEG")
    segment = bytes((0xFF, code)) + (len(content) + 2).to_bytes(2, "big") + content
    assert (decode(picture[:2] + segment + picture[2:], RULE).pixels == decode(picture, RULE).pixels).all()


def test_a_broken_photoshop_block_is_skipped() -> None:
    picture = encoded(landscape(64, 64), "JPEG")
    block = b"Photoshop 3.0\x008BIM\x03\xed"
    segment = b"\xff\xed" + (len(block) + 2).to_bytes(2, "big") + block
    assert decode(picture[:2] + segment + picture[2:], RULE).original_width == 64


def frame_changed(at: int, value: int) -> bytes:
    """A JPEG with one byte of its frame header changed; 0 is the precision, 5 the number of channels."""
    data = bytearray(encoded(landscape(64, 64), "JPEG"))
    data[data.index(b"\xff\xc0") + 4 + at] = value
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (frame_changed(0, 12), "12 bits for each sample"),
        (frame_changed(5, 2), "2 channels"),
    ],
)
def test_a_variant_that_is_not_decoded_is_named(data: bytes, said: str) -> None:
    error = refusal(data)
    assert error.code == "unsupported_variant"
    assert said in str(error)


def test_a_header_without_a_frame_or_of_no_pixels_is_named() -> None:
    data = encoded(landscape(64, 64), "JPEG")
    frame = data.index(b"\xff\xc0")
    length = int.from_bytes(data[frame + 2 : frame + 4], "big") + 2
    without = refusal(data[:frame] + data[frame + length :])
    assert (without.code, "no frame header" in str(without)) == ("corrupt_image", True)
    height = data[: frame + 5] + b"\0\0" + data[frame + 7 :]
    assert "64 x 0 pixels" in str(refusal(height))


def test_very_many_segments_are_refused_and_not_read_one_by_one() -> None:
    picture = encoded(landscape(16, 16), "JPEG")
    comments = b"\xff\xfe\0\2" * 100_000
    assert "segments" in str(refusal(picture[:2] + comments + picture[2:]))
    assert "markers" in str(refusal(picture[:-2] + b"\xff\x01" * 100_000 + _END))


def test_scans_are_counted_up_to_the_limit() -> None:
    data = encoded(noisy(), "JPEG", progressive=True)
    scans = data.count(_START_OF_SCAN)
    decode(data, RULE, ImageLimits(max_scans=scans))
    error = refusal(data, ImageLimits(max_scans=scans - 1))
    assert (error.code, error.limit) == ("too_many_scans", scans - 1)
