"""k nearest neighbours by cosine similarity: the probes that fit nothing."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Tensor

K = 20
# The usual protocol of self-supervised learning (Wu et al. 2018, arXiv 1805.01978, section 3.4).
WEIGHTED_K = 200
_TEMPERATURE = 0.07
_QUERIES_AT_ONCE = 1000


@dataclass(frozen=True)
class BankNeighbours:
    """Nearest vectors of a bank, found once for several ways to vote.

    Attributes:
        similarity: float32 [Q, k], cosines, largest first.
        labels: int64 [Q, k], their classes.
    """

    similarity: Tensor
    labels: Tensor

    @classmethod
    def find(
        cls, bank: Tensor, bank_labels: Tensor, queries: Tensor, k: int = WEIGHTED_K
    ) -> "BankNeighbours":
        """Find the k nearest of `bank` [N, D] for each of `queries` [Q, D]; all where there are fewer."""
        bank = F.normalize(bank, dim=1)
        found = [
            (F.normalize(chunk, dim=1) @ bank.T).topk(min(k, len(bank)), dim=1)
            for chunk in queries.split(_QUERIES_AT_ONCE)
        ]
        nearest = torch.cat([one.indices for one in found])
        return cls(torch.cat([one.values for one in found]), bank_labels[nearest])

    def majority_accuracy(self, truth: Tensor, k: int = K) -> float:
        """Measure the share of queries that the majority of the k nearest classifies correctly.

        Of classes with equally many votes, the nearer ones win.
        """
        # All similarities of a query together weigh half a vote at most, so they only decide ties.
        similarity = self.similarity[:, :k]
        return self._accuracy(truth, 1 + similarity / (4 * similarity.shape[1]))

    def weighted_accuracy(self, truth: Tensor) -> float:
        """Measure the same where all that were found vote, with weight exp(cosine / 0.07)."""
        # Less the largest possible similarity, so that no weight overflows.
        return self._accuracy(truth, ((self.similarity - 1) / _TEMPERATURE).exp())

    def _accuracy(self, truth: Tensor, ballots: Tensor) -> float:
        labels = self.labels[:, : ballots.shape[1]]
        classes = int(torch.maximum(labels.max(), truth.max())) + 1
        votes = torch.zeros(len(truth), classes).scatter_add_(1, labels, ballots)
        return int((votes.argmax(dim=1) == truth).sum()) / len(truth)


def knn_accuracy(bank: Tensor, bank_labels: Tensor, queries: Tensor, labels: Tensor, k: int = K) -> float:
    """Measure the share of queries that the majority of their k nearest vectors classifies correctly.

    Args:
        bank, queries: float32 [N, D] and [Q, D].
        bank_labels, labels: int64 [N] and [Q].
        k: neighbours that vote, at most N.
    """
    return BankNeighbours.find(bank, bank_labels, queries, k).majority_accuracy(labels, k)
