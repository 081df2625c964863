"""An encoder's graph with an embedding that is fitted to what the encoder makes of its training images."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from training.data import ImageSet
from training.evaluation.encoding import encodings
from training.evaluation.frozen import FrozenEncoder
from training.export.graphs import EncoderGraph
from training.model.encoders import Encoder, layer_shapes
from training.model.encoders.embedding import EmbeddingHead

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
    embedding = EmbeddingHead(layer_shapes(encoder).vectors(layer).shape[1])
    if len(images) > _MOST_IMAGES:
        images = images.sample(_MOST_IMAGES, seed)
    batches = encodings(encoder, images.pixels)
    embedding.fit(encoding.vectors(layer) for encoding in batches)
    return EncoderGraph(encoder, layer, embedding.to(encoder.mean.device)).eval()


def frozen_graph(graph: EncoderGraph) -> FrozenEncoder:
    """Wrap the graph of a run's encoder so that it is measured as an exported one is."""
    graph.eval()

    def run(pixels: NDArray[np.uint8], outputs: Sequence[str]) -> Sequence[NDArray[np.float32]]:
        with torch.no_grad():
            values = dict(zip(graph.OUTPUTS, graph(torch.from_numpy(pixels)), strict=True))
        return [values[name].numpy() for name in outputs]

    return FrozenEncoder(run, graph.OUTPUTS)
