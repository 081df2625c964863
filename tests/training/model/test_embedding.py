"""An embedding keeps what tells images apart, whatever else fills the vectors."""

import pytest
import torch
from torch import Generator, Tensor

from training.evaluation.probes import knn_accuracy
from training.model.encoders.embedding import UNITS, EmbeddingHead


def crowded(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Four classes on a small plane, beside three loud axes and one large offset that say nothing."""
    generator = Generator().manual_seed(seed)
    labels = torch.randint(0, 4, (count,), generator=generator)
    corners = torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])[labels]
    plane = corners + 0.3 * torch.randn(count, 2, generator=generator)
    loud = 8 * torch.randn(count, 3, generator=generator)
    return torch.cat([plane, loud, torch.full((count, 1), 50.0)], dim=1), labels


def test_neighbours_are_found_by_what_a_loud_axis_had_drowned() -> None:
    (bank, bank_labels), (queries, labels) = crowded(400, 0), crowded(500, 1)
    embedding = EmbeddingHead(6)
    before = knn_accuracy(bank, bank_labels, queries, labels)
    embedding.fit([bank])
    after = knn_accuracy(embedding(bank), bank_labels, embedding(queries), labels)
    assert after > 0.9 > 0.5 > before


def test_embeddings_have_length_one_and_mean_nearly_zero() -> None:
    vectors, _ = crowded(2000, 0)
    embedding = EmbeddingHead(6)
    embedding.fit([vectors])
    answer = embedding(vectors)
    assert torch.allclose(answer.norm(dim=1), torch.ones(2000), atol=1e-5)
    assert answer.mean(dim=0).abs().max() < 0.1


def test_deviations_come_closer_together_by_the_stated_power() -> None:
    generator = Generator().manual_seed(0)
    vectors = torch.randn(50_000, 3, generator=generator) * torch.tensor([1.0, 10.0, 0.1])
    embedding = EmbeddingHead(3)
    embedding.fit([vectors])
    deviations = ((vectors - embedding.centre) @ embedding.projection).std(dim=0)
    # 10 ** (1 - 0.7), 1 and 0.1 ** (1 - 0.7), strongest first; the smallest variance meets its floor.
    assert deviations.tolist() == pytest.approx([10**0.3, 1.0, 0.1**0.3], rel=0.02)


def test_it_does_not_matter_in_what_batches_vectors_come() -> None:
    vectors, _ = crowded(1000, 0)
    whole, parts = EmbeddingHead(6), EmbeddingHead(6)
    whole.fit([vectors])
    parts.fit(vectors.split(64))
    # An axis may point either way.
    difference = (whole(vectors) @ whole(vectors).T) - (parts(vectors) @ parts(vectors).T)
    # Axes are rounded to 16 bits, either way to others.
    assert difference.abs().max() < 2e-3


def test_few_images_support_few_axes() -> None:
    vectors = torch.randn(40, 30, generator=Generator().manual_seed(0))
    embedding = EmbeddingHead(30)
    embedding.fit([vectors])
    assert int((embedding(vectors).abs().amax(dim=0) > 0).sum()) == 10


def test_long_vectors_give_embeddings_of_bounded_length() -> None:
    assert EmbeddingHead(2 * UNITS)(torch.ones(3, 2 * UNITS)).shape == (3, UNITS)
