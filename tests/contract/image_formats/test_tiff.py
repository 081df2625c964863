"""TIFF: what its first directory says, which variants are read, and faults that are named."""

import struct
from contextlib import suppress
from io import BytesIO
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from contract.errors import ImageError
from contract.image_formats import read_header
from contract.image_limits import ImageLimits
from contract.images import decode
from tests.contract.refused import RULE, refusal
from tests.icc_profiles import display_p3
from tests.pictures import encoded, landscape

SIDE = 32
PICTURE = landscape(SIDE, SIDE)
LETTERS = {2: "B", 3: "H", 4: "I"}
PIXELS = np.asarray(PICTURE).astype(int)


def tiff(numbers: NDArray[Any], order: Literal["<", ">"] = "<", /, **changes: Any) -> bytes:
    """Write samples [H, W, S] of 8 or 16 bits, uncompressed, as one strip; `changes` are fields by name."""
    height, width, count = numbers.shape
    fields: dict[str, Any] = {
        "width": (256, 4, width),
        "height": (257, 4, height),
        "bits": (258, 3, [8 * numbers.itemsize] * count),
        "compression": (259, 3, 1),
        "photometric": (262, 3, 2 if count >= 3 else 1),
        "offsets": (273, 4, 8),
        "samples": (277, 3, count),
        "rows": (278, 4, height),
        "bytes": (279, 4, numbers.nbytes),
    } | changes
    raw = numbers.astype(numbers.dtype.newbyteorder(order)).tobytes()
    return directory(raw, [field for field in fields.values() if field is not None], order)


def directory(raw: bytes, fields: list[tuple[int, int, Any]], order: str = "<") -> bytes:
    """Write a file of raw data from byte 8 on, and a directory behind it."""
    start = 8 + len(raw)
    values_at = start + 2 + 12 * len(fields) + 4
    entries = values = b""
    for tag, kind, numbers in sorted(fields):
        listed = numbers if isinstance(numbers, list) else [numbers]
        packed = struct.pack(f"{order}{len(listed)}{LETTERS[kind]}", *listed)
        place = packed.ljust(4, b"\0")
        if len(packed) > 4:
            place = struct.pack(f"{order}I", values_at + len(values))
            values += packed
        entries += struct.pack(f"{order}HHI", tag, kind, len(listed)) + place
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", start)
    return head + raw + struct.pack(f"{order}H", len(fields)) + entries + bytes(4) + values


def pixels(data: bytes) -> NDArray[np.int64]:
    return decode(data, RULE).pixels.astype(np.int64)


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "tiff_deflate"])
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "CMYK", "1", "I;16", "LA"])
def test_what_pillow_writes_is_read(mode: str, compression: str | None) -> None:
    picture = deep(PIXELS[..., 1]) if mode == "I;16" else PICTURE.convert(mode)
    found = pixels(encoded(picture, "TIFF", compression=compression))
    shown = PICTURE.convert("L") if mode == "L" else picture
    expected = PIXELS[..., 1:2] if mode == "I;16" else np.asarray(shown.convert("RGB")).astype(int)
    assert np.abs(found - expected).max() <= 1


def deep(grey: NDArray[np.int64]) -> Image.Image:
    return Image.fromarray((grey * 257).astype(np.uint16))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("depth", [1, 257], ids=["8 bits", "16 bits"])
def test_both_byte_orders_and_depths_of_rgb_are_read(order: Literal["<", ">"], depth: int) -> None:
    samples = (PIXELS * depth).astype(np.uint8 if depth == 1 else np.uint16)
    assert np.abs(pixels(tiff(samples, order)) - PIXELS).max() <= 1
    alpha = np.full((SIDE, SIDE, 1), 255 * depth, samples.dtype)
    with_alpha = tiff(np.concatenate([samples, alpha], axis=2), order, extra=(338, 3, 2))
    assert np.abs(pixels(with_alpha) - PIXELS).max() <= 1


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("depth", [1, 257], ids=["8 bits", "16 bits"])
def test_grey_may_be_white_at_zero(order: Literal["<", ">"], depth: int) -> None:
    samples = (PIXELS[..., :1] * depth).astype(np.uint8 if depth == 1 else np.uint16)
    assert np.abs(pixels(tiff(samples, order)) - PIXELS[..., :1]).max() <= 1
    turned = pixels(tiff(samples, order, photometric=(262, 3, 0)))
    assert np.abs(turned - (255 - PIXELS[..., :1])).max() <= 1


def test_transparency_shows_the_background() -> None:
    samples = np.concatenate([PIXELS, np.zeros((SIDE, SIDE, 1), int)], axis=2).astype(np.uint8)
    assert (pixels(tiff(samples, extra=(338, 3, 2))) == 255).all()
    # An extra sample that is not transparency says nothing.
    np.testing.assert_array_equal(pixels(tiff(samples, extra=(338, 3, 0))), PIXELS)


def test_samples_may_lie_apart() -> None:
    planes = PIXELS.astype(np.uint8).transpose(2, 0, 1)
    offsets, sizes = [8 + plane * SIDE * SIDE for plane in range(3)], [SIDE * SIDE] * 3
    data = tiff(
        planes.reshape(SIDE, SIDE, 3),
        planes=(284, 3, 2),
        offsets=(273, 4, offsets),
        bytes=(279, 4, sizes),
    )
    np.testing.assert_array_equal(pixels(data), PIXELS)


def test_tiles_are_put_together() -> None:
    tiles = [PIXELS[y : y + 16, x : x + 16].astype(np.uint8) for y in (0, 16) for x in (0, 16)]
    data = tiff(
        np.stack(tiles).reshape(SIDE, SIDE, 3),
        offsets=None,
        rows=None,
        bytes=None,
        across=(322, 4, 16),
        down=(323, 4, 16),
        places=(324, 4, [8 + 768 * tile for tile in range(4)]),
        sizes=(325, 4, [768] * 4),
    )
    np.testing.assert_array_equal(pixels(data), PIXELS)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_is_applied_once(orientation: int) -> None:
    upright = landscape(SIDE, 24)
    stored = {
        1: upright,
        2: upright.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: upright.transpose(Image.Transpose.ROTATE_180),
        4: upright.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: upright.transpose(Image.Transpose.TRANSPOSE),
        6: upright.transpose(Image.Transpose.ROTATE_90),
        7: upright.transpose(Image.Transpose.TRANSVERSE),
        8: upright.transpose(Image.Transpose.ROTATE_270),
    }[orientation]
    data = tiff(np.asarray(stored), turn=(274, 3, orientation))
    decoded = decode(data, RULE)
    assert (decoded.original_width, decoded.original_height, decoded.format) == (SIDE, 24, "TIFF")
    np.testing.assert_array_equal(decoded.pixels, decode(encoded(upright), RULE).pixels)


def test_only_the_first_page_counts_and_what_follows_it_is_not_read() -> None:
    file = BytesIO()
    PICTURE.save(file, "TIFF", save_all=True, append_images=[Image.new("RGB", (400, 400))])
    np.testing.assert_array_equal(pixels(file.getvalue()), PIXELS)
    assert decode(file.getvalue(), RULE, ImageLimits(max_pixels=SIDE * SIDE)).original_width == SIDE


def test_metadata_may_be_damaged_and_endless() -> None:
    plain = tiff(PIXELS.astype(np.uint8))
    (start,) = struct.unpack_from("<I", plain, 4)
    # A thousand fields that all claim the whole file, of every type, and a next page that is this one.
    bogus = b"".join(struct.pack("<HHII", 40_000 + n, n % 14, len(plain), 0) for n in range(1000))
    (count,) = struct.unpack_from("<H", plain, start)
    entries = plain[start + 2 : start + 2 + 12 * count]
    values = plain[start + 2 + 12 * count + 4 :]
    moved = directory_with(plain[:start], entries, bogus, values, start)
    np.testing.assert_array_equal(pixels(moved), PIXELS)


def directory_with(head: bytes, entries: bytes, more: bytes, values: bytes, start: int) -> bytes:
    """Add entries to a directory; what it refers to stays where it was, before it."""
    old = start + 2 + len(entries) + 4
    shifted = b""
    at = len(head)
    for place in range(0, len(entries), 12):
        tag, kind, count, value = struct.unpack_from("<HHII", entries, place)
        if value >= old and tag in (258,):
            value = at + value - old
        shifted += struct.pack("<HHII", tag, kind, count, value)
    body = head[:4] + struct.pack("<I", at + len(values)) + head[8:] + values
    return body + struct.pack("<H", (len(entries) + len(more)) // 12) + shifted + more + struct.pack("<I", at)


def test_the_profile_is_found() -> None:
    data = encoded(PICTURE, "TIFF", icc_profile=display_p3())
    assert read_header(data).icc_profile == display_p3()


VARIANTS: list[tuple[str, dict[str, Any], str]] = [
    ("JPEG inside", {"compression": (259, 3, 7)}, "compressed by JPEG"),
    ("facsimile", {"compression": (259, 3, 4)}, "compressed by CCITT"),
    ("unknown compression", {"compression": (259, 3, 1234)}, "compressed by the method 1234"),
    ("Lab", {"photometric": (262, 3, 8)}, "colours are of the kind 8"),
    ("floats", {"format": (339, 3, [3, 3, 3])}, "3 samples a pixel of 8/8/8 bits"),
    ("odd bits", {"bits": (258, 3, [5, 6, 5])}, "of 5/6/5 bits"),
    ("32 bits", {"bits": (258, 3, [32] * 3)}, "of 32/32/32 bits"),
    ("bits in another order", {"fill": (266, 3, 2)}, "layout that is not read"),
    ("too few samples", {"samples": (277, 3, 2)}, "2 samples a pixel"),
    ("too many samples", {"samples": (277, 3, 4000)}, "4000 samples a pixel"),
]


@pytest.mark.parametrize(("changes", "says"), [row[1:] for row in VARIANTS], ids=[row[0] for row in VARIANTS])
def test_a_rare_kind_is_named(changes: dict[str, Any], says: str) -> None:
    error = refusal(tiff(PIXELS.astype(np.uint8), **changes))
    assert error.code == "unsupported_variant"
    assert says in str(error)


def test_a_bigtiff_is_named() -> None:
    error = refusal(encoded(PICTURE, "TIFF", big_tiff=True))
    assert (error.code, "BigTIFF" in str(error)) == ("unsupported_variant", True)


FAULTS: list[tuple[str, dict[str, Any], str, str]] = [
    ("no width", {"width": None}, "corrupt_image", "0 x 32"),
    ("beyond the file", {"offsets": (273, 4, 10_000_000)}, "truncated_image", "bytes are missing"),
    ("no strips", {"offsets": None}, "corrupt_image", "0 of its 1 strips or tiles"),
    ("too few strips", {"rows": (278, 4, 4)}, "corrupt_image", "1 of its 8 strips or tiles"),
    ("empty strips", {"rows": (278, 4, 0)}, "corrupt_image", "strips have 0 rows"),
    (
        "huge tiles",
        {"a": (322, 4, 2**31), "b": (323, 4, 16), "c": (324, 4, 8)},
        "corrupt_image",
        "2,147,483",
    ),
    ("a width in words", {"width": (256, 2, 32)}, "corrupt_image", "field 256 is of type 2"),
    ("too long", {"bits": (258, 3, [8] * 70_000)}, "corrupt_image", "field 258 has 70,000 values"),
    ("not compressed", {"compression": (259, 3, 8)}, "corrupt_image", "cannot be decompressed"),
]


@pytest.mark.parametrize(
    ("changes", "code", "says"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS]
)
def test_a_fault_is_named(changes: dict[str, Any], code: str, says: str) -> None:
    error = refusal(tiff(PIXELS.astype(np.uint8), **changes))
    assert (error.code, says in str(error)) == (code, True), str(error)


def test_many_pixels_are_refused_by_the_header() -> None:
    data = tiff(PIXELS.astype(np.uint8), width=(256, 4, 100_000), height=(257, 4, 100_000))
    assert refusal(data).code == "too_many_pixels"


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_damage_prints_nothing(compression: str, capfd: pytest.CaptureFixture[str]) -> None:
    plain = encoded(PICTURE, "TIFF", compression=compression)
    middle = len(plain) // 2
    for byte in range(0, 256, 15):
        with suppress(ImageError):
            pixels(plain[:middle] + bytes((byte,)) * 100 + plain[middle + 100 :])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("length", [4, 9, 200, -1])
def test_a_file_that_stops_is_truncated(length: int) -> None:
    assert refusal(encoded(PICTURE, "TIFF")[:length]).code in {"truncated_image", "unsupported_format"}
