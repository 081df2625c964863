"""What is looked at after each pass over the images: cheap signs of health."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.data import ImageSet
from training.data.pixel_rows import PixelArray
from training.evaluation.effective_rank import effective_rank
from training.evaluation.encoding import encode, encodings
from training.evaluation.label_free import LabelFree, views_drawn
from training.evaluation.label_free.measuring import VIEWS, view_images
from training.evaluation.probes import knn_accuracy
from training.model.encoders import BackboneEncoder, Encoder, Encoding
from training.model.encoders.embedding import EmbeddingHead
from training.recipe import Recipe

_BANK = 10_000
_QUERIES = 2_000
_BATCH = 512


def most_measured(recipe: Recipe, training: int, validation: int, *, labels: bool) -> int:
    """Count the images that one measurement encodes, of so many; views count as images."""
    queries = min(_QUERIES, validation)
    views = 0 if recipe.augmentation is None else VIEWS * view_images(queries, recipe.input_size)
    return queries + views + (min(_BANK, training) if labels else 0)


class Monitor:
    """Images, and views of some, that the recipe's seed draws, the same at every measurement.

    The last maps of a frozen trunk are kept, since they stay what they are.
    """

    def __init__(self, encoder: Encoder, training: ImageSet, validation: ImageSet, recipe: Recipe) -> None:
        self._encoder = encoder
        bank, queries = training.sample(_BANK, recipe.seed), validation.sample(_QUERIES, recipe.seed)
        self._labels = None if bank.labels is None else _tensor(bank.labels)
        self._truth = None if queries.labels is None else _tensor(queries.labels)
        self._bank = _Sample(encoder, bank.pixels)
        self._queries = _Sample(encoder, queries.pixels)
        self._views = None
        if recipe.augmentation is not None:
            self._views = _Sample(encoder, views_drawn(queries, recipe.augmentation, recipe.seed))

    def measure(self) -> dict[str, float]:
        """Measure the encoder as it is now.

        Returns:
            Effective rank of fc and code, signs of fc that need no labels, and, where there are labels, the
            accuracy of kNN on an embedding of fc.
        """
        queries = self._queries.encode(self._encoder)
        values = {"rank_fc": effective_rank(queries.fc), "rank_code": effective_rank(queries.code)}
        of_views = None if self._views is None else self._views.encode(self._encoder).fc
        values |= LabelFree.of(queries.fc, of_views).named("fc")
        if self._labels is not None and self._truth is not None:
            bank = self._bank.encode(self._encoder).fc
            embedding = EmbeddingHead(bank.shape[1])
            embedding.fit([bank])
            values["knn_fc"] = knn_accuracy(embedding(bank), self._labels, embedding(queries.fc), self._truth)
        return values


def _tensor(labels: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(np.asarray(labels))


class _Sample:
    """Images, uint8 [N, H, W, 3], or what a frozen trunk makes of them."""

    def __init__(self, encoder: Encoder, pixels: PixelArray) -> None:
        self._pixels = pixels
        self._conv: Tensor | None = None
        if isinstance(encoder, BackboneEncoder) and encoder.frozen_trunk:
            self._conv = torch.cat([one.conv.half() for one in encodings(encoder, self._pixels)])

    def encode(self, encoder: Encoder) -> Encoding:
        if self._conv is None:
            return encode(encoder, self._pixels)
        was_training = encoder.training
        encoder.eval()
        with torch.no_grad():
            parts = [
                # f reads the last map alone.
                encoder.encode_maps(conv, conv)
                for conv in (part.float().to(encoder.mean.device) for part in self._conv.split(_BATCH))
            ]
        encoder.train(was_training)
        return Encoding(*(torch.cat([part.cpu() for part in layer]) for layer in zip(*parts, strict=True)))
