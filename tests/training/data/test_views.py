"""Random views: what they keep, what they change, and that a seed fixes them."""

import colorsys
from dataclasses import replace

import torch
from torch import Generator, Tensor

from training.data.blur import blurred
from training.data.views import apply_views, draw_views, random_views, to_unit
from training.recipe import ViewRecipe

STILL = ViewRecipe(
    min_crop=1.0, aspect=1.0, flip=0.0, brightness=0, contrast=0, saturation=0, hue=0, jitter=0, grey=0
)


def images(count: int = 8) -> Tensor:
    return torch.randint(0, 256, (count, 32, 32, 3), dtype=torch.uint8, generator=Generator().manual_seed(1))


def view(recipe: ViewRecipe, pixels: Tensor, seed: int = 0) -> Tensor:
    return random_views(pixels, recipe, Generator().manual_seed(seed))


def test_no_strength_is_the_image_itself() -> None:
    torch.testing.assert_close(view(STILL, images()), to_unit(images()), atol=1e-5, rtol=0)


def test_a_view_of_half_the_size_has_the_means_of_blocks_of_four_pixels() -> None:
    draw = draw_views(8, STILL, Generator().manual_seed(0))
    blocks = torch.nn.functional.avg_pool2d(to_unit(images()), 2)
    torch.testing.assert_close(apply_views(images(), draw, 16), blocks, atol=1e-5, rtol=0)


def test_a_crop_is_a_part_of_the_image() -> None:
    ramp = torch.arange(32, dtype=torch.uint8).view(1, 1, 32, 1).expand(64, 32, 32, 3).contiguous() * 8
    out = view(replace(STILL, min_crop=0.25), ramp)[:, 0] * 255
    slope = (out[:, 16, 24] - out[:, 16, 8]) / 16
    assert float(slope.min()) > 0.45 * 8
    assert float(slope.max()) < 1.01 * 8
    assert float(slope.std()) > 0.1


def test_flip_mirrors_left_and_right() -> None:
    still = view(STILL, images())
    mirrored = view(replace(STILL, flip=1.0), images())
    torch.testing.assert_close(mirrored, still.flip(3), atol=1e-5, rtol=0)


def test_grey_drops_colour_and_keeps_luma() -> None:
    still = view(STILL, images())
    grey = view(replace(STILL, grey=1.0), images())
    luma = (still * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(dim=1)
    torch.testing.assert_close(grey, luma.unsqueeze(1).expand(-1, 3, -1, -1), atol=1e-5, rtol=0)


def test_brightness_scales_every_pixel_alike() -> None:
    dark = images() // 4
    out = view(replace(STILL, brightness=0.5, jitter=1.0), dark)
    ratio = (out / view(STILL, dark)).flatten(1)
    usable = view(STILL, dark).flatten(1) > 0.05
    for row, mask in zip(ratio, usable, strict=True):
        torch.testing.assert_close(row[mask], row[mask][:1].expand(int(mask.sum())), atol=1e-3, rtol=1e-3)


def test_hue_keeps_luma_and_turns_the_colour() -> None:
    reddish = torch.tensor([140, 100, 100], dtype=torch.uint8).expand(64, 32, 32, 3).contiguous()
    out = view(replace(STILL, hue=0.5, jitter=1.0), reddish)[:, :, 0, 0]
    luma = out @ torch.tensor([0.299, 0.587, 0.114])
    torch.testing.assert_close(luma, luma[:1].expand(64), atol=1e-3, rtol=0)
    hues = {round(colorsys.rgb_to_hsv(*colour.tolist())[0] * 6) % 6 for colour in out}
    assert len(hues) >= 5


def test_a_seed_fixes_the_views_and_another_changes_them() -> None:
    recipe = ViewRecipe()
    assert torch.equal(view(recipe, images(), 3), view(recipe, images(), 3))
    assert not torch.equal(view(recipe, images(), 3), view(recipe, images(), 4))


def test_blur_spreads_a_point_by_its_standard_deviation_and_keeps_its_light() -> None:
    points = torch.zeros(3, 3, 65, 65)
    points[:, :, 32, 32] = 1
    sigma = torch.tensor([0.0, 1.5, 4.0])
    out = blurred(points, sigma)
    torch.testing.assert_close(out.sum(dim=(2, 3)), torch.ones(3, 3), atol=1e-5, rtol=0)
    places = torch.arange(65.0) - 32
    across = (out.sum(dim=2) * places**2).sum(dim=2).sqrt()
    torch.testing.assert_close(across, sigma.view(3, 1).expand(3, 3), atol=0.05, rtol=0.02)
    assert torch.equal(out[0], points[0])


def test_each_image_is_blurred_as_it_would_be_alone() -> None:
    unit, sigma = to_unit(images()), torch.rand(8, generator=Generator().manual_seed(2)) * 3
    together = blurred(unit, sigma)
    for row in range(8):
        # A longer kernel beside it changes nothing but weights that are next to nothing.
        alone = blurred(unit[row : row + 1], sigma[row : row + 1])
        torch.testing.assert_close(together[row : row + 1], alone, atol=0.01, rtol=0)


def test_blur_takes_as_large_a_share_of_views_of_any_size() -> None:
    recipe = replace(STILL, blur=1.0, blur_sigma=0.1)
    draw = draw_views(8, recipe, Generator().manual_seed(0))
    large = images().repeat_interleave(4, 1).repeat_interleave(4, 2)
    still = draw_views(8, STILL, Generator().manual_seed(0))
    for size in (32, 128):
        assert apply_views(large, draw, size).std() < 0.8 * apply_views(large, still, size).std()
    small = torch.nn.functional.avg_pool2d(apply_views(large, draw, 128), 4)
    assert (apply_views(large, draw, 32) - small).abs().mean() < 0.02


def test_solarise_inverts_what_is_bright() -> None:
    still = view(STILL, images())
    out = view(replace(STILL, solarise=1.0), images())
    torch.testing.assert_close(out, torch.where(still >= 0.5, 1 - still, still))
    some = view(replace(STILL, solarise=0.5), images(64))
    changed = (some != view(STILL, images(64))).flatten(1).any(dim=1)
    assert 10 < int(changed.sum()) < 54


def test_blur_and_solarise_change_no_other_draw() -> None:
    plain = draw_views(8, ViewRecipe(), Generator().manual_seed(3))
    more = draw_views(8, ViewRecipe(blur=0.5, solarise=0.5), Generator().manual_seed(3))
    assert plain.blur is plain.solarise is None
    assert torch.equal(plain.affine, more.affine)
    assert torch.equal(plain.colour, more.colour)
    assert torch.equal(plain.contrast, more.contrast)


def test_a_crop_of_a_larger_image_shows_what_the_small_one_has_lost() -> None:
    stripes = (torch.arange(64) % 2 * 255).to(torch.uint8).view(1, 1, 64, 1).expand(16, 64, 64, 3)
    small = torch.full((16, 32, 32, 3), 127, dtype=torch.uint8)
    draw = draw_views(16, replace(STILL, min_crop=0.05), Generator().manual_seed(0))
    assert apply_views(small, draw, 32).std() < 0.01
    assert apply_views(stripes.contiguous(), draw, 32).std() > 0.2


def test_views_stay_on_the_unit_scale() -> None:
    out = view(ViewRecipe(brightness=0.9, contrast=0.9, saturation=0.9, blur=0.5, solarise=0.5), images(64))
    assert out.min() >= 0
    assert out.max() <= 1
