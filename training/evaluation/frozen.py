"""An encoder that no longer changes: its layers, from an exported graph or from a run, by the same names."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnxruntime
import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from numpy.typing import NDArray
from torch import Tensor

from contract.progress import Progress
from training.data.pixel_rows import PixelArray
from training.evaluation.encoding import encode, images_at_once
from training.model.encoders import Encoder, Encoding

# What reports of probes call a layer, and the output of the encoder graph that it is (maps are flattened).
LAYERS = {"conv": "conv", "fc": "fc", "Y": "code", "embedding": "embedding"}
# A map of more numbers is averaged over neighbouring places until it has no more.
_MOST_NUMBERS = 8192

# Runs one batch: uint8 [B, H, W, 3] and names of the encoder graph's outputs to those outputs [B, ...].
Runner = Callable[[NDArray[np.uint8], Sequence[str]], Sequence[NDArray[np.float32]]]


@dataclass(frozen=True)
class FrozenEncoder:
    """An encoder that no longer changes, exported or not.

    Attributes:
        run: computes named outputs of one batch.
        outputs: names that `run` understands.
    """

    run: Runner
    outputs: tuple[str, ...]

    def encode(
        self,
        pixels: PixelArray,
        outputs: Sequence[str],
        reduce: Callable[[NDArray[np.float32]], NDArray[np.float32]] = lambda values: values,
    ) -> dict[str, NDArray[np.float32]]:
        """Encode uint8 [N, H, W, 3] to named outputs, each float32 [N, ...].

        Args:
            pixels: of the images.
            outputs: names of what is wanted.
            reduce: what is kept of an output [B, ...] of one batch.
        """
        whole: dict[str, NDArray[np.float32]] = {}
        size = images_at_once(*pixels.shape[1:3])
        with Progress("encoding") as progress:
            for start in range(0, len(pixels), size):
                batch = pixels[start : start + size]
                for name, values in zip(outputs, map(reduce, self.run(batch, outputs)), strict=True):
                    # Filled in place: a list of batches would hold everything twice when it is joined.
                    whole.setdefault(name, np.empty((len(pixels), *values.shape[1:]), np.float32))
                    whole[name][start : start + len(batch)] = values
                progress.update(start + len(batch), len(pixels))
        return whole

    def layers(self, pixels: PixelArray) -> dict[str, Tensor]:
        """Encode to every layer of LAYERS that there is, as float32 [N, D].

        A map is flattened; one of more than 8,192 numbers is averaged over neighbouring places before.
        """
        present = {layer: output for layer, output in LAYERS.items() if output in self.outputs}
        encoded = self.encode(pixels, tuple(present.values()), _flattened)
        return {layer: torch.from_numpy(encoded[output]) for layer, output in present.items()}


def _flattened(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Flatten an output [B, ...] to [B, D]."""
    if values.ndim == 4 and values[0].size > _MOST_NUMBERS:
        side = max(1, math.isqrt(_MOST_NUMBERS // values.shape[1]))
        values = F.adaptive_avg_pool2d(torch.from_numpy(values), side).numpy()
    return values.reshape(len(values), -1)


def exported(session: onnxruntime.InferenceSession) -> FrozenEncoder:
    """Wrap the encoder in an `encoder.onnx`: what is measured is what is served."""

    def run(pixels: NDArray[np.uint8], outputs: Sequence[str]) -> Sequence[NDArray[np.float32]]:
        values: Sequence[NDArray[np.float32]] = session.run(list(outputs), {"image": pixels})
        return values

    return FrozenEncoder(run, tuple(output.name for output in session.get_outputs()))


def without_embedding(encoder: Encoder) -> FrozenEncoder:
    """Wrap a run's encoder without an embedding, which would have to be fitted."""

    def run(pixels: NDArray[np.uint8], outputs: Sequence[str]) -> Sequence[NDArray[np.float32]]:
        encoding = encode(encoder, torch.from_numpy(pixels))
        return [getattr(encoding, name).numpy() for name in outputs]

    return FrozenEncoder(run, Encoding._fields)
