"""Random views: what they keep, what they change, and that a seed fixes them."""

import colorsys
from dataclasses import replace

import torch
from torch import Generator, Tensor

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


def test_views_stay_on_the_unit_scale() -> None:
    out = view(ViewRecipe(brightness=0.9, contrast=0.9, saturation=0.9), images(64))
    assert out.min() >= 0
    assert out.max() <= 1
