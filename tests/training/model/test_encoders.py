"""Encoders: shapes of the paper, and a patch grid that tells the truth about what each patch sees."""

import pytest
import torch

from contract.placement import place
from contract.preprocessing import Preprocessing
from training.errors import RecipeError
from training.model.encoders import ENCODERS, build_encoder, takes
from training.model.encoders.residual import Quarters
from training.recipe import EncoderRecipe


@pytest.mark.parametrize("name", ENCODERS)
def test_layers_have_the_stated_shapes(name: str) -> None:
    encoder = ENCODERS[name](64).eval()
    size = encoder.input_size
    encoding = encoder(torch.rand(2, 3, size, size))
    grid = encoder.patch_grid()
    side = 12 if name == "dim96" else 8
    assert encoding.features.shape[2:] == (grid.rows, grid.columns) == (side, side)
    assert encoding.conv.shape[2:] == (side // 2, side // 2)
    assert encoding.fc.shape == (2, 512 if name.startswith("residual") else 1024)
    assert encoding.code.shape == (2, 64)


@pytest.mark.parametrize(("name", "channels"), [("dim32", (128, 256)), ("dim64", (256, 512))])
def test_the_paper_encoders_have_the_papers_channels(name: str, channels: tuple[int, int]) -> None:
    encoder = ENCODERS[name](64).eval()
    encoding = encoder(torch.rand(1, 3, encoder.input_size, encoder.input_size))
    assert (encoding.features.shape[1], encoding.conv.shape[1]) == channels


@pytest.mark.parametrize("size", [32, 64, 96, 128])
def test_there_is_an_encoder_of_the_papers_kind_for_every_size_of_own_images(size: int) -> None:
    assert build_encoder(
        EncoderRecipe(name=f"dim{size}", code_units=64), size
    ).patch_grid().stride == size / (12 if size == 96 else 8)


@pytest.mark.parametrize("name", ENCODERS)
def test_a_patch_depends_on_exactly_the_pixels_its_box_names(name: str) -> None:
    torch.manual_seed(0)
    encoder = ENCODERS[name](64).eval()
    size = encoder.input_size
    for module in encoder.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            # Residual branches start at zero; open them so that their pixels count.
            torch.nn.init.uniform_(module.weight, 0.5, 1.0)
    image = torch.rand(1, 3, size, size, requires_grad=True)
    features = encoder(image).features
    grid = encoder.patch_grid()
    boxes = grid.boxes(place(Preprocessing(height=size, width=size), (size, size)))
    for row, column in ((0, 0), (3, 4), (grid.rows - 1, grid.columns - 1)):
        (gradient,) = torch.autograd.grad(features[0, :, row, column].sum(), image, retain_graph=True)
        seen = gradient.abs().sum(dim=(0, 1)).nonzero()
        box = boxes[row][column]
        assert seen[:, 0].min() >= box.top
        assert seen[:, 0].max() + 1 <= box.bottom
        assert seen[:, 1].min() >= box.left
        assert seen[:, 1].max() + 1 <= box.right
        # Not merely inside: ReLU may hide a border pixel, but not most of the field.
        assert len(seen) >= 0.8 * (box.bottom - box.top) * (box.right - box.left)


@pytest.mark.parametrize("side", range(2, 10))
def test_quarters_are_those_of_adaptive_pooling(side: int) -> None:
    maps = torch.rand(2, 3, side, side)
    torch.testing.assert_close(Quarters()(maps), torch.nn.AdaptiveAvgPool2d(2)(maps))


def test_which_sizes_an_encoder_takes_is_known_without_computing() -> None:
    with torch.device("meta"):
        residual, paper = (
            build_encoder(EncoderRecipe(name="residual32", code_units=64), 32),
            build_encoder(EncoderRecipe(name="dim32", code_units=64), 32),
        )
    assert [size for size in (8, 16, 20, 24, 32) if takes(residual, size)] == [16, 20, 24, 32]
    assert [size for size in (8, 16, 20, 24, 32) if takes(paper, size)] == [32]


def test_an_unknown_encoder_and_a_wrong_size_are_named() -> None:
    with pytest.raises(RecipeError, match="no encoder 'vgg'"):
        build_encoder(EncoderRecipe(name="vgg", code_units=64), 32)
    with pytest.raises(RecipeError, match="64 pixels"):
        build_encoder(EncoderRecipe(name="dim64", code_units=64), 32)
