"""Any module as an encoder: its layers are found, its geometry is measured, its frozen parts stay."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from contract.placement import place
from contract.preprocessing import Preprocessing
from training.errors import RecipeError
from training.model.encoders import BackboneEncoder, Encoder, build_encoder
from training.model.encoders.backbone import Taps
from training.model.encoders.dim import dim32
from training.model.encoders.receptive_field import patch_grid_of
from training.model.encoders.residual import residual32
from training.recipe import EncoderRecipe

FACTORY = f"{__name__}:small_net"


class SmallNet(nn.Module):
    """Three convolutions and a classifier; the activation is one layer that runs three times."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, width, 4, 2, 1)
        self.second = nn.Conv2d(width, width, 4, 2, 1)
        self.norm = nn.BatchNorm2d(width)
        self.third = nn.Conv2d(width, 2 * width, 3, 2, 1)
        self.activation = nn.ReLU()
        self.classifier = nn.Linear(2 * width, 10)

    def forward(self, images: Tensor) -> Tensor:
        hidden = self.activation(self.first(images))
        hidden = self.activation(self.norm(self.second(hidden)))
        hidden = self.activation(self.third(hidden))
        logits: Tensor = self.classifier(hidden.mean(dim=(2, 3)))
        return logits


def small_net(width: int = 8) -> nn.Module:
    return SmallNet(width)


def number() -> int:
    return 7


def recipe(**changes: object) -> EncoderRecipe:
    record = {"factory": FACTORY, "features": "norm", "conv": "activation", "code_units": 16}
    return EncoderRecipe.model_validate({**record, "hidden_units": 32, **changes})


def backbone(**changes: object) -> BackboneEncoder:
    torch.manual_seed(0)
    encoder = build_encoder(recipe(**changes), 32)
    assert isinstance(encoder, BackboneEncoder)
    return encoder


def test_layers_of_any_module_are_kept_and_f_is_added() -> None:
    encoding = backbone(arguments={"width": 12}).eval()(torch.rand(2, 3, 32, 32))
    assert encoding.features.shape == (2, 12, 8, 8)
    # The layer that runs several times gives its last output.
    assert encoding.conv.shape == (2, 24, 4, 4)
    assert encoding.fc.shape == (2, 24 + 32)
    assert encoding.code.shape == (2, 16)


@pytest.mark.parametrize("make", [dim32, residual32])
def test_measured_geometry_is_the_computed_one(make: Callable[[int], Encoder]) -> None:
    torch.manual_seed(0)
    encoder = make(16).eval()
    measured = patch_grid_of(lambda images: encoder.local(images), encoder.local, 32)
    assert measured == encoder.patch_grid()


def test_a_unit_that_sees_everything_has_the_whole_image_as_its_box() -> None:
    trunk = nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.Conv2d(4, 4, 7, padding=3), nn.Conv2d(4, 4, 7, padding=3))
    grid = patch_grid_of(trunk, trunk, 32)
    boxes = grid.boxes(place(Preprocessing(width=32, height=32), (32, 32)))
    assert {box.left for row in boxes for box in row} == {0}
    assert {box.right for row in boxes for box in row} == {32}
    assert (grid.rows, grid.stride) == (4, 8)


@pytest.mark.parametrize(("name", "features", "side"), [("resnet18", "layer2", 8), ("resnet50", "layer4", 2)])
def test_residual_networks_have_a_choice_of_resolution(name: str, features: str, side: int) -> None:
    encoder = build_encoder(EncoderRecipe(name=name, features=features), 64).eval()
    encoding = encoder(torch.rand(1, 3, 64, 64))
    assert encoding.features.shape[2:] == (side, side)
    assert encoding.conv.shape[2:] == (2, 2)


def test_frozen_parts_keep_weights_and_statistics() -> None:
    encoder = backbone(frozen=["first", "norm"])
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    optimiser = torch.optim.SGD([one for one in encoder.parameters() if one.requires_grad], lr=1.0)
    encoder.train()
    encoder(torch.rand(4, 3, 32, 32)).code.square().sum().backward()
    optimiser.step()
    changed = {name for name, value in encoder.state_dict().items() if not torch.equal(value, before[name])}
    assert not any("module.first." in name or "module.norm." in name for name in changed)
    assert any("module.second." in name for name in changed)
    assert not encoder.frozen_trunk
    assert backbone(frozen=[""]).frozen_trunk


def test_statistics_of_the_weights_are_kept() -> None:
    encoder = backbone(mean=[0.4, 0.5, 0.6], std=[0.5, 0.5, 0.5])
    assert encoder.mean.flatten().tolist() == pytest.approx([0.4, 0.5, 0.6])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"factory": "small_net"}, "package:function"),
        ({"factory": "no_such_package:make"}, "Install no_such_package"),
        ({"factory": f"{__name__}:nothing"}, "does not exist"),
        ({"factory": f"{__name__}:FACTORY"}, "not callable"),
        ({"factory": f"{__name__}:number"}, "returned int"),
        ({"arguments": {"depth": 3}}, "depth=3"),
        ({"features": "layer9"}, "encoder.features names 'layer9'"),
        ({"conv": "classifier"}, "a map [B, C, M, M] is needed"),
        ({"frozen": ["stem"]}, "encoder.frozen names 'stem'"),
    ],
)
def test_what_does_not_fit_is_one_sentence(changes: dict[str, object], said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        build_encoder(recipe(**changes), 32)
    assert said in str(caught.value)


def test_a_size_that_the_module_cannot_take_is_named() -> None:
    with pytest.raises(RecipeError, match="2 x 2 pixels"):
        build_encoder(recipe(), 2)


def test_the_last_of_several_outputs_is_a_tap() -> None:
    taps = Taps(SmallNet(4), "first", "third").eval()
    features, conv = taps(torch.rand(1, 3, 16, 16))
    assert (features.shape, conv.shape) == ((1, 4, 8, 8), (1, 8, 2, 2))
