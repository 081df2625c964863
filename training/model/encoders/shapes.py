"""The sizes of an encoder's layers, found by asking it."""

import torch

from training.model.encoders.encoder import Encoder
from training.model.encoders.encoding import Encoding


@torch.no_grad()
def layer_shapes(encoder: Encoder, size: int | None = None) -> Encoding:
    """Encode one empty image for the shapes of its layers; the running statistics stay as they are.

    Its height and width are `size`, or the encoder's own.
    """
    was_training = encoder.training
    encoder.eval()
    side = size or encoder.input_size
    encoding: Encoding = encoder(torch.zeros(1, 3, side, side))
    encoder.train(was_training)
    return encoding


def takes(encoder: Encoder, size: int) -> bool:
    """Tell whether an encoder on the meta device can encode images of another height and width too."""
    try:
        with torch.device("meta"):
            layer_shapes(encoder, size)
    except RuntimeError:
        return False
    return True
