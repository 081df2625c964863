"""Encoders: shapes of the paper, and a patch grid that tells the truth about what each patch sees."""

import pytest
import torch

from training.encoders import ENCODERS, build_encoder
from training.errors import RecipeError

SIZES = {"dim32": 32, "dim64": 64, "residual32": 32}


@pytest.mark.parametrize("name", ENCODERS)
def test_layers_have_the_stated_shapes(name: str) -> None:
    encoder = build_encoder(name, code_units=64, input_size=SIZES[name]).eval()
    encoding = encoder(torch.rand(2, 3, SIZES[name], SIZES[name]))
    grid = encoder.patch_grid()
    assert encoding.features.shape[2:] == (grid.rows, grid.columns) == (8, 8)
    assert encoding.conv.shape[2:] == (4, 4)
    assert encoding.fc.shape == (2, 1024)
    assert encoding.code.shape == (2, 64)


def test_the_paper_encoder_has_the_papers_channels() -> None:
    encoding = build_encoder("dim32", 64, 32).eval()(torch.rand(1, 3, 32, 32))
    assert encoding.features.shape == (1, 128, 8, 8)
    assert encoding.conv.shape == (1, 256, 4, 4)


@pytest.mark.parametrize("name", ENCODERS)
def test_a_patch_depends_on_exactly_the_pixels_its_box_names(name: str) -> None:
    size = SIZES[name]
    torch.manual_seed(0)
    encoder = build_encoder(name, 64, size).eval()
    for module in encoder.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            # Residual branches start at zero; open them so that their pixels count.
            torch.nn.init.uniform_(module.weight, 0.5, 1.0)
    image = torch.rand(1, 3, size, size, requires_grad=True)
    features = encoder(image).features
    boxes = encoder.patch_grid().boxes((size, size), (size, size))
    for row, column in ((0, 0), (3, 4), (7, 7)):
        (gradient,) = torch.autograd.grad(features[0, :, row, column].sum(), image, retain_graph=True)
        seen = gradient.abs().sum(dim=(0, 1)).nonzero()
        box = boxes[row][column]
        assert seen[:, 0].min() >= box.top
        assert seen[:, 0].max() + 1 <= box.bottom
        assert seen[:, 1].min() >= box.left
        assert seen[:, 1].max() + 1 <= box.right
        # Not merely inside: ReLU may hide a border pixel, but not most of the field.
        assert len(seen) >= 0.8 * (box.bottom - box.top) * (box.right - box.left)


def test_an_unknown_encoder_and_a_wrong_size_are_named() -> None:
    with pytest.raises(RecipeError, match="no encoder 'vgg'"):
        build_encoder("vgg", 64, 32)
    with pytest.raises(RecipeError, match="64 pixels"):
        build_encoder("dim64", 64, 32)
