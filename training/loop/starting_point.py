"""Where a run starts from: weights of a file, of an earlier run or of an exported model."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from training.data.pixel_rows import PixelArray
from training.loop.exported_weights import (
    copy_layers,
    initialise_from_exported,
    is_exported,
    read_exported,
)
from training.loop.initial_weights import Start, initialise, read_weights
from training.model.encoders import Encoder, build_encoder
from training.recipe import Recipe


@dataclass(frozen=True)
class StartingPoint:
    """Weights that a run starts from, read and copied nowhere yet.

    Attributes:
        source: the file or folder that they are of.
        tensors: by name.
        exported: they are of an exported model, whose normalisations are restored on images.
    """

    source: Path
    tensors: Mapping[str, Tensor]
    exported: bool

    @classmethod
    def read(cls, source: Path) -> "StartingPoint":
        """Read the weights of a file, a run or a model.

        Raises:
            TrainingError: they cannot be read.
        """
        exported = is_exported(source)
        return cls(source, read_exported(source) if exported else read_weights(source), exported)

    def check(self, recipe: Recipe) -> None:
        """Refuse weights that do not fit the recipe's encoder, without any image.

        Raises:
            TrainingError: naming what does not fit.
        """
        # The run draws its own weights: a check changes none of them.
        with torch.random.fork_rng():
            encoder = build_encoder(recipe.encoder, recipe.input_size)
        if self.exported:
            copy_layers(encoder, self.tensors, self.source)
        else:
            initialise(encoder, self.tensors, self.source)

    def apply(self, encoder: Encoder, pixels: PixelArray) -> Start:
        """Copy the weights into the encoder of a run that begins.

        Args:
            encoder: of the run.
            pixels: its training images, uint8 [N, S, S, 3].

        Raises:
            TrainingError: they do not fit.
        """
        if self.exported:
            return initialise_from_exported(encoder, self.tensors, self.source, pixels)
        return initialise(encoder, self.tensors, self.source)
