"""k nearest neighbours by cosine similarity: the probe that fits nothing."""

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Tensor

K = 20
_QUERIES_AT_ONCE = 1000


def knn_accuracy(bank: Tensor, bank_labels: Tensor, queries: Tensor, labels: Tensor, k: int = K) -> float:
    """Measure the share of queries that the majority of their k nearest vectors classifies correctly.

    Args:
        bank, queries: float32 [N, D] and [Q, D].
        bank_labels, labels: int64 [N] and [Q].
        k: neighbours that vote, at most N. Of classes with equally many votes, the nearer ones win.
    """
    k = min(k, len(bank))
    bank = F.normalize(bank, dim=1)
    classes = int(torch.maximum(bank_labels.max(), labels.max())) + 1
    right = 0
    for chunk, truth in zip(queries.split(_QUERIES_AT_ONCE), labels.split(_QUERIES_AT_ONCE), strict=True):
        similarity, nearest = (F.normalize(chunk, dim=1) @ bank.T).topk(k, dim=1)
        # All similarities of a query together weigh half a vote at most, so they only decide ties.
        ballots = 1 + similarity / (4 * k)
        votes = torch.zeros(len(chunk), classes).scatter_add_(1, bank_labels[nearest], ballots)
        right += int((votes.argmax(dim=1) == truth).sum())
    return right / len(queries)
