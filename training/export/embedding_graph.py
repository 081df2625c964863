"""An encoder's graph with an embedding that is fitted to what the encoder makes of its training images."""

import torch

from training.data import ImageSet
from training.evaluation.encoding import encodings
from training.export.graphs import EncoderGraph
from training.model.encoders import Encoder, layer_shapes
from training.model.encoders.embedding import Embedding

# Principal axes of a map want some ten images for each of its numbers; further ones move them by little.
_MOST_IMAGES = 50_000


def embedded(encoder: Encoder, layer: str, images: ImageSet, seed: int) -> EncoderGraph:
    """Fit the embedding of a layer and put it behind the encoder.

    Args:
        encoder: as trained.
        layer: "conv", "fc" or "code".
        images: that the encoder was trained on; labels play no part.
        seed: of the draw where there are more images than are looked at.

    Returns:
        The graph, in evaluation mode.
    """
    embedding = Embedding(layer_shapes(encoder).vectors(layer).shape[1])
    if len(images) > _MOST_IMAGES:
        images = images.sample(_MOST_IMAGES, seed)
    batches = encodings(encoder, torch.from_numpy(images.pixels))
    embedding.fit(encoding.vectors(layer) for encoding in batches)
    return EncoderGraph(encoder, layer, embedding.to(encoder.mean.device)).eval()
