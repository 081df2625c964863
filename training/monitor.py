"""What is looked at after each pass over the images: cheap signs of health, and where the embeddings lie."""

import torch
from torch import Tensor

from training.data import ImageSet
from training.encoders import Encoder, Encoding
from training.probes import knn_accuracy
from training.views import to_unit

_BANK = 10_000
_QUERIES = 2_000


@torch.no_grad()
def encode(encoder: Encoder, pixels: Tensor, batch_size: int = 512) -> Encoding:
    """Encode uint8 [N, H, W, 3] in evaluation mode; every layer is float32 [N, ...], on the CPU."""
    was_training = encoder.training
    encoder.eval()
    # Not by way of a compiled call, which would be compiled anew for evaluation.
    parts = [
        encoder.forward(to_unit(chunk.to(encoder.mean.device)).contiguous(memory_format=torch.channels_last))
        for chunk in pixels.split(batch_size)
    ]
    encoder.train(was_training)
    return Encoding(*(torch.cat(layer).cpu() for layer in zip(*parts, strict=True)))


def monitor(encoder: Encoder, training: ImageSet, validation: ImageSet) -> dict[str, float]:
    """Measure the encoder, and fit its embeddings to what it makes of training images now.

    Returns:
        Effective rank of fc and code and, where there are labels, the accuracy of kNN on the embedding.
    """
    bank = encode(encoder, torch.from_numpy(training.pixels[:_BANK]))
    encoder.fit_embeddings(bank)
    queries = encode(encoder, torch.from_numpy(validation.pixels[:_QUERIES]))
    values = {"rank_fc": effective_rank(queries.fc), "rank_code": effective_rank(queries.code)}
    if training.labels is not None and validation.labels is not None:
        values["knn_fc"] = knn_accuracy(
            _embedded(encoder, bank.fc),
            torch.from_numpy(training.labels[:_BANK]),
            _embedded(encoder, queries.fc),
            torch.from_numpy(validation.labels[:_QUERIES]),
        )
    return values


def _embedded(encoder: Encoder, vectors: Tensor) -> Tensor:
    embedding: Tensor = encoder.fc_embedding(vectors.to(encoder.mean.device))
    return embedding.cpu()


def effective_rank(vectors: Tensor) -> float:
    """exp of the entropy of the normalised singular values (Roy and Vetterli 2007) of centred [N, D] vectors.

    Between 1 and D; near 1 means that the encoder has collapsed onto a line.
    """
    singular = torch.linalg.svdvals(vectors - vectors.mean(dim=0))
    share = singular / singular.sum().clamp_min(1e-12)
    return float(torch.exp(-(share * share.clamp_min(1e-12).log()).sum()))
