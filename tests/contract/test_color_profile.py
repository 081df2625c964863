"""Colours by an embedded ICC profile: the same colours give the same pixels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from contract.images import decode, open_rgb
from contract.preprocessing import Preprocessing
from tests.icc_profiles import as_display_p3, display_p3, from_display_p3, grey, srgb
from tests.pictures import encoded, landscape

SIDE = 64
SRGB = Preprocessing(height=SIDE, width=SIDE, color_profile="srgb")
IGNORED = Preprocessing(height=SIDE, width=SIDE)
ROUNDING = 1


def noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(3).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8))


def pixels(data: bytes, rule: Preprocessing = SRGB) -> NDArray[np.int64]:
    return decode(data, rule).pixels.astype(np.int64)


def twin(picture: Image.Image) -> Image.Image:
    return Image.fromarray(as_display_p3(np.asarray(picture)))


@pytest.mark.parametrize(
    ("image_format", "options"),
    [
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("JPEG", {"quality": 100}),
        ("TIFF", {}),
        ("AVIF", {"quality": 100, "subsampling": "4:4:4"}),
        ("HEIC", {"quality": -1, "chroma": 444}),
    ],
)
def test_a_picture_in_display_p3_equals_its_twin_in_srgb(
    image_format: str, options: dict[str, object]
) -> None:
    picture = landscape(SIDE, SIDE) if image_format == "JPEG" else noise()
    p3 = encoded(twin(picture), image_format, icc_profile=display_p3(), **options)
    plain = encoded(picture, image_format, **options)
    exact = from_display_p3(decode(p3, IGNORED).pixels)
    assert np.abs(pixels(p3) - exact).max() <= ROUNDING
    # The twin was rounded, and each JPEG lost something. Where it is dark, one step of P3 is several of sRGB.
    assert np.abs(pixels(p3) - pixels(plain)).mean() < 1.5
    assert np.abs(pixels(p3, IGNORED) - pixels(plain)).max() > 10
    np.testing.assert_allclose(np.asarray(open_rgb(p3, color_profile="srgb")).astype(int), pixels(p3), atol=0)


def test_transparency_stays_where_it_is_and_the_background_is_not_converted() -> None:
    picture = noise()
    p3 = twin(picture)
    holes = np.where(np.arange(SIDE) < SIDE // 2, 0, 255).astype(np.uint8)
    p3.putalpha(Image.fromarray(np.tile(holes, (SIDE, 1))))
    rule = Preprocessing(height=SIDE, width=SIDE, color_profile="srgb", background=(255, 0, 0))
    found = pixels(encoded(p3, icc_profile=display_p3()), rule)
    assert (found[:, : SIDE // 2] == (255, 0, 0)).all()
    exact = from_display_p3(np.asarray(twin(picture)))
    assert np.abs(found - exact)[:, SIDE // 2 :].max() <= ROUNDING


def test_grey_is_converted_by_a_profile_of_grey() -> None:
    ramp = np.tile(np.linspace(0, 255, SIDE).round().astype(np.uint8), (SIDE, 1))
    light = (ramp / 255) ** 1.8
    expected = 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    plain = Image.fromarray(ramp)
    for picture in (plain, Image.merge("LA", (plain, Image.new("L", plain.size, 255)))):
        found = pixels(encoded(picture, icc_profile=grey()))
        np.testing.assert_allclose(found[..., 1], expected, atol=2 * ROUNDING)


def test_palette_and_transparent_palette_are_converted() -> None:
    picture = landscape(SIDE, SIDE).quantize(32)
    colours = picture.convert("RGB")
    p3 = twin(colours).quantize(32, dither=Image.Dither.NONE)
    opaque = encoded(p3, icc_profile=display_p3())
    for data in (opaque, encoded(p3, icc_profile=display_p3(), transparency=255)):
        found = pixels(data)
        assert np.abs(found - np.asarray(colours).astype(int)).mean() < 6


def test_a_profile_that_means_srgb_changes_no_pixel() -> None:
    plain = encoded(noise())
    np.testing.assert_array_equal(pixels(encoded(noise(), icc_profile=srgb())), pixels(plain, IGNORED))


@pytest.mark.parametrize(
    "profile",
    [
        b"no profile",
        display_p3()[:200],
        display_p3()[:128] + bytes(500),
        grey(),
        display_p3().replace(b"RGB ", b"CMYK"),
    ],
    ids=["text", "cut", "empty", "of grey", "of ink"],
)
def test_a_profile_that_cannot_be_used_costs_no_image(profile: bytes) -> None:
    plain = pixels(encoded(noise()), IGNORED)
    np.testing.assert_array_equal(pixels(encoded(noise(), "PNG", icc_profile=profile)), plain)


def test_a_profile_longer_than_any_is_ignored() -> None:
    for extra, used in ((2**20, True), (4 * 2**20, False)):
        data = encoded(twin(noise()), "WEBP", lossless=True, icc_profile=display_p3() + bytes(extra))
        assert np.array_equal(pixels(data), pixels(data, IGNORED)) != used


@settings(max_examples=150)
@given(
    at=st.integers(0, len(display_p3()) - 1), new=st.binary(min_size=1, max_size=8), kept=st.floats(0.1, 1)
)
def test_a_damaged_profile_costs_no_image(at: int, new: bytes, kept: float) -> None:
    profile = bytearray(display_p3())
    profile[at : at + len(new)] = new
    data = encoded(noise(), icc_profile=bytes(profile[: round(kept * len(profile))]))
    assert pixels(data).shape == (SIDE, SIDE, 3)


def test_a_profile_in_many_parts_of_a_jpeg_is_put_together_or_ignored() -> None:
    long = display_p3() + bytes(100_000)
    data = encoded(twin(landscape(SIDE, SIDE)), "JPEG", quality=100, icc_profile=long)
    assert data.count(b"ICC_PROFILE\0") == 2
    whole = encoded(twin(landscape(SIDE, SIDE)), "JPEG", quality=100, icc_profile=display_p3())
    np.testing.assert_array_equal(pixels(data), pixels(whole))
    one_missing = data.replace(b"ICC_PROFILE\0\x02", b"ICC_PROFILE\0\x03")
    np.testing.assert_array_equal(pixels(one_missing), pixels(whole, IGNORED))
