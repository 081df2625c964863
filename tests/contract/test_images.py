"""The decoding rule, format by format and defect by defect."""

import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from contract.errors import ImageError
from contract.image_limits import ImageLimits
from contract.images import ALLOWED_FORMATS, decode, open_rgb
from contract.preprocessing import Preprocessing
from tests.contract.refused import refusal
from tests.pictures import encoded, landscape, photo

RULE = Preprocessing(height=32, width=32)
_ORIENTATION = 0x0112
# What turns an upright picture into one that a camera stores with this EXIF orientation.
_STORED_AS: dict[int, Callable[[Image.Image], Image.Image]] = {
    1: lambda picture: picture,
    2: ImageOps.mirror,
    3: lambda picture: picture.transpose(Image.Transpose.ROTATE_180),
    4: ImageOps.flip,
    5: lambda picture: picture.transpose(Image.Transpose.TRANSPOSE),
    6: lambda picture: picture.transpose(Image.Transpose.ROTATE_90),
    7: lambda picture: picture.transpose(Image.Transpose.TRANSVERSE),
    8: lambda picture: picture.transpose(Image.Transpose.ROTATE_270),
}


def difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(np.abs(one.astype(float) - other.astype(float)).mean())


def expected(picture: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(picture.convert("RGB").resize((32, 32), Image.Resampling.BILINEAR))


def code_of(data: bytes, limits: ImageLimits | None = None) -> str:
    with pytest.raises(ImageError) as caught:
        decode(data, RULE, limits)
    assert str(caught.value).endswith(".")
    return caught.value.code


@pytest.mark.parametrize("image_format", ALLOWED_FORMATS)
def test_every_accepted_format_gives_the_picture(image_format: str) -> None:
    picture = landscape(120, 80)
    decoded = decode(encoded(picture, image_format), RULE)
    assert decoded.pixels.shape == (32, 32, 3)
    assert decoded.pixels.dtype == np.uint8
    assert (decoded.original_width, decoded.original_height, decoded.format) == (120, 80, image_format)
    assert difference(decoded.pixels, expected(picture)) < 4


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIC"])
def test_exif_orientation_is_applied(orientation: int, image_format: str) -> None:
    upright = landscape(640, 480)
    exif = Image.Exif()
    exif[_ORIENTATION] = orientation
    data = encoded(_STORED_AS[orientation](upright), image_format, exif=exif.tobytes())
    decoded = decode(data, RULE)
    assert (decoded.original_width, decoded.original_height) == (640, 480)
    assert difference(decoded.pixels, expected(upright)) < 4


def test_a_large_photograph_is_decoded_at_a_reduced_scale_to_nearly_the_same_pixels() -> None:
    picture = landscape(1600, 1200)
    data = encoded(picture, "JPEG", quality=90)
    reduced = decode(data, RULE)
    full = decode(data, Preprocessing(height=32, width=32, draft_factor=0))
    assert (reduced.original_width, reduced.original_height) == (1600, 1200)
    assert difference(reduced.pixels, full.pixels) < 1.5


def test_transparent_pixels_show_the_background_and_not_what_hides_below() -> None:
    hidden = np.zeros((32, 32, 4), np.uint8)
    hidden[..., 0] = 200
    hidden[:, 16:, 3] = 255
    decoded = decode(
        encoded(Image.fromarray(hidden)), Preprocessing(height=32, width=32, background=(0, 0, 255))
    )
    assert decoded.pixels[16, 4].tolist() == [0, 0, 255]
    assert decoded.pixels[16, 28].tolist() == [200, 0, 0]


def test_half_transparent_pixels_are_mixed_with_the_background() -> None:
    half = np.full((32, 32, 4), (0, 0, 0, 128), np.uint8)
    assert decode(encoded(Image.fromarray(half)), RULE).pixels[5, 5].tolist() == [127, 127, 127]


@pytest.mark.parametrize("mode", ["LA", "P", "L", "1"])
def test_transparency_counts_in_every_mode_that_can_hold_it(mode: str) -> None:
    if mode == "LA":
        data = encoded(Image.fromarray(np.zeros((32, 32, 2), np.uint8)))
    else:
        data = encoded(Image.new(mode, (32, 32), 0), transparency=0)
    assert decode(data, RULE).pixels[5, 5].tolist() == [255, 255, 255]


def test_sixteen_bit_grey_is_scaled_and_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 32).astype(np.uint16)
    data = encoded(Image.fromarray(np.tile(ramp, (32, 1))))
    row = decode(data, RULE).pixels[16, :, 0].astype(int)
    assert np.abs(row - ramp.astype(int) // 257).max() <= 1


def test_grey_palette_and_cmyk_pictures_become_rgb() -> None:
    picture = landscape(64, 64)
    grey = decode(encoded(picture.convert("L")), RULE).pixels
    assert difference(grey, expected(picture.convert("L"))) < 1
    palette = decode(encoded(picture.quantize(64)), RULE).pixels
    assert difference(palette, expected(picture.quantize(64))) < 1
    cmyk = decode(encoded(picture.convert("CMYK"), "JPEG"), RULE).pixels
    assert difference(cmyk, expected(picture)) < 6


def test_only_the_first_frame_of_an_animation_counts() -> None:
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "lime", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode(data, RULE).pixels[16, 16].tolist() == [255, 0, 0]


def test_a_picture_of_one_pixel_is_an_image() -> None:
    assert (decode(encoded(Image.new("RGB", (1, 1), "red")), RULE).pixels == (255, 0, 0)).all()


def test_the_full_picture_is_upright_and_over_the_background() -> None:
    exif = Image.Exif()
    exif[_ORIENTATION] = 6
    picture = open_rgb(encoded(_STORED_AS[6](landscape(64, 48)), exif=exif))
    assert (picture.mode, picture.size) == ("RGB", (64, 48))


def test_no_bytes_are_an_empty_image() -> None:
    assert code_of(b"") == "empty_image"


@pytest.mark.parametrize(
    "data",
    [b"not an image", b"%PDF-1.7 ...", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"\x00" * 4096],
    ids=["text", "pdf", "svg", "zeros"],
)
def test_what_is_no_image_is_an_unsupported_format(data: bytes) -> None:
    assert code_of(data) == "unsupported_format"


@pytest.mark.parametrize("data", [b"photo.jpg", b"a b/Photo 1.HEIC\n", "photos/f\u00e4rben.png".encode()])
def test_the_name_of_a_file_in_place_of_its_bytes_is_told_by_the_missing_at_sign(data: bytes) -> None:
    said = str(refusal(data))
    assert "with curl, write @ before it" in said
    assert said.isascii()


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"photo.jpg", "(starting 'photo.jpg')"),
        (b"<!DOCTYPE html>\r\n<html>" + b" " * 5000, r"(starting '<!DOCTYPE html>\r\n<html> ')"),
        (b"%PDF-1.7\xe2\xe3", "(starting 25 50 44 46 2d 31 2e 37)"),
        (b"a\x1b[31mred", "(starting 61 1b 5b 33 31 6d 72 65)"),
    ],
    ids=["name", "page", "bytes", "escape"],
)
def test_what_is_no_image_is_shown_by_its_start_as_printable_text(data: bytes, shown: str) -> None:
    said = str(refusal(data))
    assert shown in said
    assert said.isprintable()
    assert len(said) < 200
    assert said.endswith(("TIFF, AVIF, HEIC.", "write @ before it."))


@pytest.mark.parametrize("image_format", ["PPM", "ICO", "TGA", "EPS", "JPEG2000"])
def test_formats_off_the_list_are_refused_although_pillow_reads_them(image_format: str) -> None:
    assert code_of(photo(image_format=image_format)) == "unsupported_format"


@pytest.mark.parametrize("image_format", ALLOWED_FORMATS)
def test_half_a_file_is_no_picture(image_format: str) -> None:
    data = photo(width=200, height=200, image_format=image_format)
    assert code_of(data[: len(data) // 2]) in {"truncated_image", "corrupt_image"}


def test_the_byte_limit_is_named() -> None:
    data = photo(width=200, height=200)
    with pytest.raises(ImageError, match="INFOMAX_MAX_IMAGE_BYTES") as caught:
        decode(data, RULE, ImageLimits(max_bytes=len(data) - 1))
    assert (caught.value.code, caught.value.limit) == ("image_too_large", len(data) - 1)
    decode(data, RULE, ImageLimits(max_bytes=len(data)))


def test_the_pixel_limit_is_named_and_inclusive() -> None:
    data = photo(width=100, height=50)
    with pytest.raises(ImageError, match="100 x 50 = 5,000") as caught:
        decode(data, RULE, ImageLimits(max_pixels=4999))
    assert (caught.value.code, caught.value.limit) == ("too_many_pixels", 4999)
    decode(data, RULE, ImageLimits(max_pixels=5000))


@pytest.mark.parametrize("side", [12_000, 30_000, 2**31 - 1])
def test_a_bomb_is_refused_by_its_header(side: int) -> None:
    assert code_of(png_header(side, side)) == "too_many_pixels"


@pytest.mark.parametrize("size", [(16, 16), (640, 480)])
def test_a_jpeg_of_very_many_scans_is_refused(size: tuple[int, int]) -> None:
    data = encoded(landscape(*size), "JPEG")
    scan = data.index(b"\xff\xda")
    most = ImageLimits().max_scans
    for padding in (b"", b"\xff"):  # markers at even and at odd places; fill bytes may precede one
        bomb = data[:scan] + padding + data[scan:-2] * (most + 1) + data[-2:]
        with pytest.raises(ImageError, match=f"The JPEG has more than {most} scans"):
            decode(bomb, RULE)
    decode(encoded(landscape(64, 64), "JPEG", progressive=True), RULE)


def png_header(width: int, height: int) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
