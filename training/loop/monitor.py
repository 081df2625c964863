"""What is looked at after each pass over the images: cheap signs of health."""

import numpy as np
import torch
from torch import Tensor

from training.data import ImageSet
from training.evaluation.effective_rank import effective_rank
from training.evaluation.encoding import encode, encodings
from training.evaluation.probes import knn_accuracy
from training.model.encoders import BackboneEncoder, Encoder, Encoding
from training.model.encoders.embedding import EmbeddingHead

_BANK = 10_000
_QUERIES = 2_000
_BATCH = 512


def most_measured(training: int, validation: int, *, labels: bool) -> int:
    """Count the images that one measurement encodes, of so many."""
    return min(_QUERIES, validation) + (min(_BANK, training) if labels else 0)


class Monitor:
    """Images that the seed draws, the same at every measurement.

    The last maps of a frozen trunk are kept, since they stay what they are.
    """

    def __init__(self, encoder: Encoder, training: ImageSet, validation: ImageSet, seed: int) -> None:
        self._encoder = encoder
        self._bank = _Sample(encoder, training.sample(_BANK, seed))
        self._queries = _Sample(encoder, validation.sample(_QUERIES, seed))

    def measure(self) -> dict[str, float]:
        """Measure the encoder as it is now.

        Returns:
            Effective rank of fc and code and, where there are labels, the accuracy of kNN on an embedding
            of fc.
        """
        queries = self._queries.encode(self._encoder)
        values = {"rank_fc": effective_rank(queries.fc), "rank_code": effective_rank(queries.code)}
        bank_labels, labels = self._bank.labels, self._queries.labels
        if bank_labels is not None and labels is not None:
            bank = self._bank.encode(self._encoder).fc
            embedding = EmbeddingHead(bank.shape[1])
            embedding.fit([bank])
            values["knn_fc"] = knn_accuracy(embedding(bank), bank_labels, embedding(queries.fc), labels)
        return values


class _Sample:
    """Images, or what a frozen trunk makes of them."""

    def __init__(self, encoder: Encoder, images: ImageSet) -> None:
        self.labels = None if images.labels is None else torch.from_numpy(np.asarray(images.labels))
        self._pixels = torch.from_numpy(images.pixels)
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
