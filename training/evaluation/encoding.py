"""An encoder in evaluation mode, over images that need not be encoded at once."""

from collections.abc import Iterator

import torch
from torch import Tensor

from training.data.pixel_rows import PixelArray
from training.data.views import to_unit
from training.model.encoders import Encoder, Encoding

# Of larger images fewer are encoded at once: the maps of a network are many times as large as its images.
_MOST_IMAGES = 512
_MOST_PIXELS = 512 * 64 * 64


def images_at_once(height: int, width: int) -> int:
    """Choose how many images of that size are encoded at once, so that memory does not grow with it."""
    return max(1, min(_MOST_IMAGES, _MOST_PIXELS // (height * width)))


@torch.no_grad()
def encodings(encoder: Encoder, pixels: PixelArray | Tensor) -> Iterator[Encoding]:
    """Encode uint8 [N, H, W, 3] batch by batch; every layer is float32 [B, ...], on the CPU."""
    was_training = encoder.training
    encoder.eval()
    try:
        size = images_at_once(*pixels.shape[1:3])
        for start in range(0, len(pixels), size):
            chunk = torch.as_tensor(pixels[start : start + size], device=encoder.mean.device)
            images = to_unit(chunk).contiguous(memory_format=torch.channels_last)
            # Not by way of a compiled call, which would be compiled anew for evaluation.
            yield Encoding(*(layer.cpu() for layer in encoder.forward(images)))
    finally:
        encoder.train(was_training)


def encode(encoder: Encoder, pixels: PixelArray | Tensor) -> Encoding:
    """Encode uint8 [N, H, W, 3] in evaluation mode; every layer is float32 [N, ...], on the CPU."""
    return Encoding(*(torch.cat(layer) for layer in zip(*encodings(encoder, pixels), strict=True)))
