"""AVIF and HEIC: what their boxes say, and faults and bombs that are named before anything is decoded."""

import struct

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from contract.errors import ImageError
from contract.image_formats import read_header
from contract.image_formats.av1_sequence import largest_frame
from contract.image_formats.item_boxes import ItemBoxes
from contract.image_limits import ImageLimits
from contract.images import decode
from tests.contract.refused import RULE, refusal
from tests.icc_profiles import display_p3
from tests.pictures import encoded, landscape

PICTURE = landscape(300, 200)
FORMATS = ["AVIF", "HEIC"]
TILED = encoded(PICTURE, "HEIC", tile_size=128)


def plain(image_format: str) -> bytes:
    return encoded(PICTURE, image_format, quality=90)


def pixels(data: bytes) -> NDArray[np.int64]:
    return decode(data, RULE).pixels.astype(np.int64)


def stated(data: bytes, width: int, height: int) -> bytes:
    """The file with another size in its first box of a size."""
    at = data.index(b"ispe") + 8
    return data[:at] + struct.pack(">II", width, height) + data[at + 8 :]


def box(name: bytes, *content: bytes) -> bytes:
    whole = b"".join(content)
    return struct.pack(">I4s", 8 + len(whole), name) + whole


def header(*meta: bytes, brand: bytes = b"heic") -> bytes:
    return box(b"ftyp", brand, bytes(4), b"mif1", brand) + box(b"meta", bytes(4), *meta)


def entry(number: int, kind: bytes) -> bytes:
    return box(b"infe", b"\2\0\0\0", struct.pack(">HH4s", number, 0, kind), b"\0")


@pytest.mark.parametrize("image_format", FORMATS)
def test_the_header_tells_the_size_and_the_file_its_format(image_format: str) -> None:
    file = read_header(plain(image_format))
    assert (file.format, file.width, file.height) == (image_format, 300, 200)


def test_tiles_are_put_together() -> None:
    assert len(ItemBoxes(TILED, "HEIC").parts) == 6
    assert np.abs(pixels(TILED) - pixels(encoded(PICTURE))).mean() < 3


def test_an_animation_shows_its_primary_image() -> None:
    second = landscape(300, 200, seed=7)
    data = encoded(PICTURE, "AVIF", save_all=True, append_images=[second], quality=90)
    assert data[8:12] == b"avis"
    assert np.abs(pixels(data) - pixels(encoded(PICTURE))).mean() < 3


@pytest.mark.parametrize("image_format", FORMATS)
def test_the_boxes_turn_the_image_and_exif_does_not(image_format: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(PICTURE, image_format, exif=exif.tobytes(), quality=90)
    assert b"irot" in data
    decoded = decode(data, RULE)
    assert (decoded.original_width, decoded.original_height) == (200, 300)
    turned = encoded(PICTURE.transpose(Image.Transpose.ROTATE_270))
    assert np.abs(decoded.pixels.astype(int) - pixels(turned)).mean() < 3
    # By no quarter, the box does not turn it; the EXIF block beside it says what it said.
    at = data.index(b"irot") + 4
    unturned = decode(data[:at] + b"\0" + data[at + 1 :], RULE)
    assert (unturned.original_width, unturned.original_height) == (300, 200)


@pytest.mark.parametrize("image_format", FORMATS)
def test_damaged_metadata_costs_no_image(image_format: str) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a description of the image, long enough to be found"
    data = encoded(PICTURE, image_format, exif=exif.tobytes(), quality=90)
    at = data.index(b"a description")
    damaged = data[:at] + bytes(range(200, 240)) + data[at + 40 :]
    np.testing.assert_array_equal(pixels(damaged), pixels(data))


@pytest.mark.parametrize("image_format", FORMATS)
def test_the_profile_is_found(image_format: str) -> None:
    file = read_header(encoded(PICTURE, image_format, icc_profile=display_p3()))
    file.load()
    assert file.icc_profile == display_p3()


@pytest.mark.parametrize("image_format", FORMATS)
def test_many_pixels_are_refused_by_the_header(image_format: str) -> None:
    error = refusal(stated(plain(image_format), 100_000, 100_000))
    assert error.code == "too_many_pixels"
    assert refusal(plain(image_format), ImageLimits(max_pixels=59_999)).code == "too_many_pixels"


@pytest.mark.parametrize("image_format", FORMATS)
def test_a_frame_that_is_larger_than_its_header_says_is_not_decoded(image_format: str) -> None:
    large = encoded(Image.new("RGB", (4000, 3000), "navy"), image_format)
    error = refusal(stated(large, 64, 64))
    assert error.code == "corrupt_image"
    assert "header says 64 x 64" in str(error) or "Security limit exceeded" in str(error)


def test_tiles_of_many_more_pixels_than_the_image_are_not_decoded() -> None:
    # The last box of a size is that of the tiles.
    at = TILED.rindex(b"ispe") + 8
    error = refusal(TILED[:at] + struct.pack(">II", 4096, 4096) + TILED[at + 8 :])
    assert (error.code, "its parts have 100,663,296 pixels" in str(error)) == ("corrupt_image", True)


def test_a_rule_that_repeats_itself_ends() -> None:
    grids = [entry(number, b"grid") for number in (1, 2, 3, 4)]
    many = [
        box(b"dimg", struct.pack(">HH", number, 5000), struct.pack(">H", number + 1) * 5000)
        for number in (1, 2, 3)
    ]
    data = header(
        box(b"pitm", bytes(4), struct.pack(">H", 1)),
        box(b"iinf", bytes(4), struct.pack(">H", 4), *grids),
        box(b"iref", bytes(4), *many),
    )
    assert "more than 16,384 entries" in str(refusal(data))
    loop = header(
        box(b"pitm", bytes(4), struct.pack(">H", 1)),
        box(b"iinf", bytes(4), struct.pack(">H", 1), entry(1, b"grid")),
        box(b"iref", bytes(4), box(b"dimg", struct.pack(">HHH", 1, 1, 1))),
    )
    assert "a part of its image is missing" in str(refusal(loop))


@pytest.mark.parametrize("brand", [b"avif", b"heic"])
def test_endless_boxes_and_items_are_refused(brand: bytes) -> None:
    boxes = header(*[box(b"free")] * 40_000, brand=brand)
    assert "more than 16,384 entries" in str(refusal(boxes))
    items = [entry(number, b"hvc1") for number in range(2000)]
    listed = header(box(b"iinf", bytes(4), struct.pack(">H", 2000), *items), brand=brand)
    assert "more than 1,000 items" in str(refusal(listed))


@pytest.mark.parametrize("image_format", FORMATS)
def test_a_part_of_another_kind_is_named(image_format: str) -> None:
    kind = {"AVIF": b"av01", "HEIC": b"hvc1"}[image_format]
    data = plain(image_format)
    at = data.index(kind)
    error = refusal(data[:at] + b"vvc1" + data[at + 4 :])
    assert (error.code, "b'vvc1'" in str(error)) == ("unsupported_variant", True)


@pytest.mark.parametrize("image_format", FORMATS)
def test_a_file_without_a_still_image_is_named(image_format: str) -> None:
    data = plain(image_format).replace(b"pitm", b"free")
    assert "holds no still image" in str(refusal(data))
    # Also where an item has the number 0.
    brand = image_format.lower().encode()
    zero = header(box(b"iinf", bytes(4), struct.pack(">H", 1), entry(0, b"hvc1")), brand=brand)
    assert "holds no still image" in str(refusal(zero))


@pytest.mark.parametrize("image_format", FORMATS)
def test_a_file_that_stops_is_truncated(image_format: str) -> None:
    data = plain(image_format)
    for kept in (16, 40, 200, len(data) // 2, len(data) - 1):
        assert refusal(data[:kept]).code in {"truncated_image", "corrupt_image"}, kept
    assert refusal(data[:-1]).code == "truncated_image"
    assert "1 of the announced bytes are missing" in str(refusal(data[:-1]))


def test_the_sequence_header_tells_the_size_of_frames() -> None:
    boxes = ItemBoxes(plain("AVIF"), "AVIF")
    (part,) = boxes.parts
    for alone in (True, False):
        assert largest_frame(boxes.content(part), alone=alone) == 300 * 200


def test_a_whole_sequence_header_allows_what_it_has_bits_for() -> None:
    # Profile 0, not reduced, no timing, one operating point of level 8 with a tier; 9 and 8 bits of size.
    bits = "000000000000" + "0" * 12 + "01000010000111"
    bits += f"{299:09b}{199:08b}"
    unit = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
    stream = bytes((0x12, 0, 0x0A, len(unit))) + unit
    assert largest_frame(stream, alone=True) == 300 * 200
    assert largest_frame(stream, alone=False) == 512 * 256


def test_endless_units_are_refused() -> None:
    with pytest.raises(ImageError, match="more than 4,096 units"):
        largest_frame(b"\x12\0" * 5000, alone=True)
