"""Encoders by the name that recipes use; adding one is a file here and a line below."""

from collections.abc import Callable

import torch
from torch import nn

from training.errors import RecipeError
from training.model.encoders.backbone import BackboneEncoder, Taps
from training.model.encoders.coarse import coarse64, coarse96, coarse128
from training.model.encoders.dim import dim32, dim64, dim96, dim128
from training.model.encoders.encoder import Encoder
from training.model.encoders.encoding import Encoding, Maps
from training.model.encoders.factory import make_module
from training.model.encoders.residual import residual32, residual128
from training.model.encoders.resnet import resnet18, resnet50
from training.model.encoders.shapes import layer_shapes, takes
from training.recipe import EncoderRecipe

ENCODERS: dict[str, Callable[[int], Encoder]] = {
    "dim32": dim32,
    "dim64": dim64,
    "dim96": dim96,
    "dim128": dim128,
    "coarse64": coarse64,
    "coarse96": coarse96,
    "coarse128": coarse128,
    "residual32": residual32,
    "residual128": residual128,
}


# Trunk, C(x) at stride 16 and the last map; other strides by `encoder.features`.
BACKBONES: dict[str, Callable[[], nn.Module]] = {"resnet18": resnet18, "resnet50": resnet50}
_FEATURES, _CONV = "layer3", "layer4"


def build_encoder(recipe: EncoderRecipe, input_size: int) -> Encoder:
    """Make the encoder that a recipe names, or the one that its factory makes.

    Raises:
        RecipeError: there is no such encoder, it takes images of another size, or the factory fails.
    """
    encoder = _backbone(recipe, input_size) if recipe.is_backbone(BACKBONES) else _small(recipe, input_size)
    if recipe.mean is not None and recipe.std is not None:
        encoder.set_statistics(torch.tensor(recipe.mean), torch.tensor(recipe.std))
    return encoder


def _small(recipe: EncoderRecipe, input_size: int) -> Encoder:
    if recipe.name not in ENCODERS:
        raise RecipeError(
            f"There is no encoder {recipe.name!r}; choose one of {', '.join([*ENCODERS, *BACKBONES])}, "
            "or name a factory."
        )
    encoder = ENCODERS[recipe.name](recipe.code_units)
    if encoder.input_size != input_size:
        raise RecipeError(
            f"The encoder {recipe.name} takes images of {encoder.input_size} pixels, "
            f"the recipe's input_size is {input_size}."
        )
    return encoder


def _backbone(recipe: EncoderRecipe, input_size: int) -> Encoder:
    if recipe.factory is not None:
        trunk = Taps(make_module(recipe.factory, recipe.arguments), recipe.features or "", recipe.conv or "")
    else:
        trunk = Taps(BACKBONES[recipe.name](), recipe.features or _FEATURES, recipe.conv or _CONV)
    return BackboneEncoder(input_size, trunk, recipe.code_units, recipe.hidden_units, recipe.frozen)


__all__ = [
    "BACKBONES",
    "ENCODERS",
    "BackboneEncoder",
    "Encoder",
    "Encoding",
    "Maps",
    "build_encoder",
    "layer_shapes",
    "takes",
]
