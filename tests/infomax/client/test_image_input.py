"""Images as callers give them reach the service as the same pixels."""

import io
import os
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from infomax.client.errors import ImageInputError
from infomax.client.image_input import default_id, encoded, is_link
from infomax.client.tar_body import tar_body
from tests.pictures import landscape, photo

MOST = 100_000


def pixels_of(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (5, 7, 4), (1, 1, 3)])
def test_an_array_becomes_a_png_of_the_same_pixels(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    np.testing.assert_array_equal(pixels_of(encoded(pixels, MOST)), pixels)
    np.testing.assert_array_equal(pixels_of(encoded(pixels[::-1], MOST)), pixels[::-1])


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_a_pil_image_keeps_its_pixels(mode: str) -> None:
    picture = landscape(9, 6).convert(mode)
    np.testing.assert_array_equal(pixels_of(encoded(picture, MOST)), np.asarray(picture))


def test_a_pil_image_in_cmyk_is_sent_in_rgb() -> None:
    picture = landscape(9, 6).convert("CMYK")
    np.testing.assert_array_equal(pixels_of(encoded(picture, MOST)), np.asarray(picture.convert("RGB")))


def test_a_pil_image_is_turned_as_its_orientation_says() -> None:
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    landscape(9, 6).save(file, "PNG", exif=exif)
    assert pixels_of(encoded(Image.open(file), MOST)).shape == (9, 6, 3)


def test_files_and_bytes_are_sent_as_they_are(tmp_path: Path) -> None:
    data, path = photo(1), tmp_path / "a.jpg"
    path.write_bytes(data)
    for one in (path, str(path), data, bytearray(data), memoryview(data)):
        assert encoded(one, MOST) == data


@pytest.mark.parametrize(
    ("image", "code", "says"),
    [
        (np.zeros((2, 2, 3)), "unsupported_input", r"The array is float64 \[2, 2, 3\]. Give uint8"),
        (np.zeros((2, 2, 2), np.uint8), "unsupported_input", r"\[2, 2, 2\]"),
        (np.zeros((0, 2, 3), np.uint8), "unsupported_input", r"\[0, 2, 3\]"),
        (5, "unsupported_input", "A int is not an image"),
        (ImageInputError("unreadable_file", "gone"), "unreadable_file", "gone"),
        ("nowhere.jpg", "unreadable_file", "No such file"),
        ("nul\0.jpg", "unreadable_file", "null byte"),
        (bytes(MOST + 1), "image_too_large", "100,000 bytes"),
    ],
)
def test_what_is_not_an_image_is_named(image: Any, code: str, says: str) -> None:
    with pytest.raises(ImageInputError, match=says) as caught:
        encoded(image, MOST)
    assert caught.value.code == code


def test_a_file_over_the_limit_is_not_read_whole(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(ImageInputError, match="more than 10 bytes"):
        encoded(tmp_path / "huge", 10)


def test_a_file_of_another_size_than_it_says_is_read_to_its_end() -> None:
    assert encoded("/proc/self/status", MOST).startswith(b"Name:")


def test_what_is_not_a_file_is_named_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, "/dev/zero"):
        with pytest.raises(ImageInputError, match="not a file"):
            encoded(path, MOST)


def test_links_are_told_from_paths() -> None:
    assert is_link("https://example.org/a.jpg")
    assert is_link("HTTP://example.org/a.jpg")
    assert not is_link("photos/http.jpg")
    assert not is_link(Path("http://a"))
    assert default_id(Path("a/b.jpg"), 7) == "a/b.jpg"
    assert default_id(os.fsdecode(b"caf\xe9.jpg"), 7) == "caf\\xe9.jpg"
    assert default_id(b"data", 7) == "7"


def test_the_archive_is_one_for_the_standard_library() -> None:
    images = [photo(1), b"", bytes(512), b"x" * 513]
    with tarfile.open(fileobj=io.BytesIO(tar_body(images))) as archive:
        members = archive.getmembers()
        assert [member.name for member in members] == ["00000000", "00000001", "00000002", "00000003"]
        found = [archive.extractfile(member) for member in members]
        assert [file.read() for file in found if file is not None] == images
