"""The sizes of an encoder's layers, found by asking it."""

import torch

from training.encoders.encoder import Encoder
from training.encoders.encoding import Encoding


@torch.no_grad()
def layer_shapes(encoder: Encoder) -> Encoding:
    """Layers of one empty image, for their shapes; evaluation mode leaves the running statistics alone."""
    was_training = encoder.training
    encoder.eval()
    encoding: Encoding = encoder(torch.zeros(1, 3, encoder.input_size, encoder.input_size))
    encoder.train(was_training)
    return encoding


@torch.no_grad()
def takes(encoder: Encoder, size: int) -> bool:
    """Whether an encoder on the meta device can encode images of another height and width too."""
    try:
        encoder.eval()(torch.zeros(1, 3, size, size, device="meta"))
    except RuntimeError:
        return False
    return True
