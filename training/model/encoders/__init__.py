"""Encoders by the name that recipes use; adding one is a file here and a line below."""

from collections.abc import Callable

from training.errors import RecipeError
from training.model.encoders.coarse import coarse64, coarse96, coarse128
from training.model.encoders.dim import dim32, dim64, dim96, dim128
from training.model.encoders.encoder import Encoder
from training.model.encoders.encoding import Encoding
from training.model.encoders.residual import residual32
from training.model.encoders.shapes import layer_shapes, takes

ENCODERS: dict[str, Callable[[int], Encoder]] = {
    "dim32": dim32,
    "dim64": dim64,
    "dim96": dim96,
    "dim128": dim128,
    "coarse64": coarse64,
    "coarse96": coarse96,
    "coarse128": coarse128,
    "residual32": residual32,
}


def build_encoder(name: str, code_units: int, input_size: int) -> Encoder:
    """Make an encoder by name.

    Raises:
        RecipeError: there is no such encoder, or it takes images of another size.
    """
    if name not in ENCODERS:
        raise RecipeError(f"There is no encoder {name!r}; choose one of {', '.join(ENCODERS)}.")
    encoder = ENCODERS[name](code_units)
    if encoder.input_size != input_size:
        raise RecipeError(
            f"The encoder {name} takes images of {encoder.input_size} pixels, "
            f"the recipe's input_size is {input_size}."
        )
    return encoder


__all__ = ["ENCODERS", "Encoder", "Encoding", "build_encoder", "layer_shapes", "takes"]
