"""Of EXIF and XMP only the orientation is read, whatever else stands in them."""

import struct

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from contract.images import decode, open_rgb
from contract.orientation import read_orientation
from tests.contract.refused import RULE
from tests.pictures import encoded, landscape

_ORIENTATION, _WIDTH, _MAKE, _RESOLUTION = 0x0112, 0x0100, 0x010F, 0x011A
_XMP = b'<x:xmpmeta><rdf:Description tiff:Orientation="%d"/></x:xmpmeta>'
Entry = tuple[int, int, int, bytes]


def exif(*entries: Entry, order: str = ">") -> bytes:
    """A directory of entries (tag, type, count, value of four bytes)."""
    head = (b"MM\0*" if order == ">" else b"II*\0") + struct.pack(f"{order}I", 8)
    packed = b"".join(struct.pack(f"{order}HHI", *entry[:3]) + entry[3] for entry in entries)
    return head + struct.pack(f"{order}H", len(entries)) + packed + bytes(4)


def orientation(value: int, kind: int = 3, form: str = "H", order: str = ">") -> Entry:
    return _ORIENTATION, kind, 1, struct.pack(order + form, value).ljust(4, b"\0")


ODD: dict[str, Entry] = {
    "a width as text": (_WIDTH, 2, 4, b"640\0"),
    "a resolution that is nowhere": (_RESOLUTION, 5, 1, b"\xff\xff\xff\xff"),
    "a make of four gigabytes": (_MAKE, 2, 0xFFFFFFFF, b"\0\0\0\0"),
    "an unknown type": (_MAKE, 99, 1, b"\0\0\0\0"),
    "no values": (_WIDTH, 3, 0, b"\0\0\0\0"),
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
def test_odd_entries_do_not_matter(odd: Entry, image_format: str) -> None:
    stored = landscape(64, 48).transpose(Image.Transpose.ROTATE_90)
    data = encoded(stored, image_format, exif=b"Exif\0\0" + exif(odd, orientation(6)))
    assert open_rgb(data).size == (64, 48)


@pytest.mark.parametrize("order", [">", "<"])
@pytest.mark.parametrize("kind", [(1, "B"), (3, "H"), (4, "I"), (6, "b"), (8, "h"), (9, "i")])
def test_an_orientation_may_be_any_integer(order: str, kind: tuple[int, str]) -> None:
    assert read_orientation(exif(orientation(6, *kind, order=order), order=order)) == 6


@pytest.mark.parametrize("value", [0, 9, 255, 65535])
def test_an_orientation_that_does_not_exist_turns_nothing(value: int) -> None:
    assert read_orientation(exif(orientation(value))) == 1


def test_a_block_cut_anywhere_is_read_as_far_as_it_reaches() -> None:
    whole = exif(orientation(6), ODD["a width as text"])
    for length in range(len(whole)):
        assert read_orientation(whole[:length]) in (1, 6)
    assert read_orientation(whole[:22]) == 6


def test_xmp_counts_where_exif_says_nothing() -> None:
    assert read_orientation(b"", _XMP % 8) == 8
    assert read_orientation(exif(ODD["a width as text"]), _XMP % 8) == 8
    assert read_orientation(exif(orientation(3)), _XMP % 8) == 3
    assert read_orientation(b"", b"<tiff:Orientation>6</tiff:Orientation>") == 6


@pytest.mark.parametrize("image_format", ["JPEG", "WEBP"])
def test_xmp_in_a_file_turns_it(image_format: str) -> None:
    stored = landscape(64, 48).transpose(Image.Transpose.ROTATE_90)
    data = encoded(stored, image_format, xmp=_XMP % 6)
    decoded = decode(data, RULE)
    assert (decoded.original_width, decoded.original_height) == (64, 48)


def test_what_imagemagick_and_adobe_write_into_the_text_of_a_png_turns_it() -> None:
    stored = landscape(64, 48).transpose(Image.Transpose.ROTATE_90)
    block = exif(orientation(6))
    for compressed in (False, True):
        profile, xmp = PngInfo(), PngInfo()
        profile.add_text("Raw profile type exif", f"\nexif\n{len(block):8}\n{block.hex()}\n", zip=compressed)
        xmp.add_itxt("XML:com.adobe.xmp", (_XMP % 6).decode(), zip=compressed)
        for info in (profile, xmp):
            assert open_rgb(encoded(stored, pnginfo=info)).size == (64, 48)
