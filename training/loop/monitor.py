"""What is looked at after each pass over the images: cheap signs of health."""

import torch

from training.data import ImageSet
from training.evaluation.effective_rank import effective_rank
from training.evaluation.encoding import encode
from training.evaluation.probes import knn_accuracy
from training.model.encoders import Encoder
from training.model.encoders.embedding import EmbeddingHead

_BANK = 10_000
_QUERIES = 2_000


def monitor(encoder: Encoder, training: ImageSet, validation: ImageSet, seed: int) -> dict[str, float]:
    """Measure the encoder on images that the seed draws, the same at every call.

    Returns:
        Effective rank of fc and code and, where there are labels, the accuracy of kNN on an embedding of fc.
    """
    training, validation = training.sample(_BANK, seed), validation.sample(_QUERIES, seed)
    bank = encode(encoder, torch.from_numpy(training.pixels)).fc
    queries = encode(encoder, torch.from_numpy(validation.pixels))
    values = {"rank_fc": effective_rank(queries.fc), "rank_code": effective_rank(queries.code)}
    if training.labels is not None and validation.labels is not None:
        embedding = EmbeddingHead(bank.shape[1])
        embedding.fit([bank])
        values["knn_fc"] = knn_accuracy(
            embedding(bank),
            torch.from_numpy(training.labels),
            embedding(queries.fc),
            torch.from_numpy(validation.labels),
        )
    return values
