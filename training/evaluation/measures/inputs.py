"""What is measured: a frozen encoder, images to fit networks on, and images that nothing is fitted to."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from training.data import ImageSet
from training.data.pixel_rows import PixelArray
from training.errors import DataError
from training.evaluation.frozen import FrozenEncoder
from training.system.signals import Interruption

# So that all measures together take minutes on one core. More images move the figures by less than seeds do.
_TRAINING, _TEST = 20_000, 10_000
# A map is a hundred times the size of a code: fewer images, and fewer still when their maps are large.
_MAPS_TRAINING, _MAPS_TEST = 5_000, 2_000
_MAP_BYTES = 2**29
_LEAST_TRAINING, _LEAST_TEST = 64, 16


@dataclass(frozen=True)
class Layers:
    """Layers of training and of held-out images, float32 [N, ...] and [Q, ...]."""

    training: Tensor
    test: Tensor


@dataclass(frozen=True)
class MeasureInputs:
    """A frozen encoder and the images that it is measured with.

    Attributes:
        encoder: what is measured.
        training: images that networks are fitted and chosen on.
        test: images that neither the encoder nor any of these networks has seen.
        seed: of every random choice.
        interruption: the request to stop.
    """

    encoder: FrozenEncoder
    training: ImageSet
    test: ImageSet
    seed: int
    interruption: Interruption = field(default_factory=Interruption)

    @cached_property
    def code(self) -> Layers:
        """Codes of all images, [N, Y]."""
        return self.encode(self.training.pixels, self.test.pixels, "code")

    @cached_property
    def features(self) -> Layers:
        """Local maps [N, C, M, M] of the first `maps` images of each set."""
        fitted, measured = self.maps
        return self.encode(self.training.pixels[:fitted], self.test.pixels[:measured], "features")

    @cached_property
    def maps(self) -> tuple[int, int]:
        """Numbers of training and held-out images whose maps are measured."""
        fitted, measured = min(_MAPS_TRAINING, len(self.training)), min(_MAPS_TEST, len(self.test))
        (one,) = self.encoder.run(self.test.pixels[:1], ("features",))
        share = min(1.0, _MAP_BYTES / ((fitted + measured) * one.nbytes))
        return max(1, int(share * fitted)), max(1, int(share * measured))

    def encode(self, training: PixelArray, test: PixelArray, output: str) -> Layers:
        """Encode other pixels uint8 [N, H, W, 3], such as of images with a part covered."""
        known, asked = (self.encoder.encode(pixels, (output,))[output] for pixels in (training, test))
        return Layers(torch.from_numpy(known), torch.from_numpy(asked))


def draw(images: ImageSet, most: int, seed: int) -> ImageSet:
    """Draw at most that many images, in random order: files are often sorted by class."""
    return images.take(np.random.default_rng(seed).permutation(len(images))[:most])


def draw_inputs(
    encoder: FrozenEncoder, training: ImageSet, test: ImageSet, seed: int, interruption: Interruption
) -> MeasureInputs:
    """Draw the images that are used.

    Raises:
        DataError: there are too few to fit or to measure anything.
    """
    for name, images, least in (("training", training, _LEAST_TRAINING), ("test", test, _LEAST_TEST)):
        if len(images) < least:
            raise DataError(
                f"There are {len(images)} {name} images; measures need at least {least}, so name more."
            )
    return MeasureInputs(
        encoder, draw(training, _TRAINING, seed), draw(test, _TEST, seed), seed, interruption
    )
