"""Probes: they find what is there, find nothing where nothing is, and say the same twice."""

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from training.errors import DataError
from training.probes import fit_linear, knn_accuracy

CLASSES = 3


def clusters(count: int, seed: int, distance: float = 2.0, dimensions: int = 8) -> tuple[Tensor, Tensor]:
    """Gaussians of unit deviation around CLASSES corners that are `distance` from the origin."""
    generator = Generator().manual_seed(seed)
    labels = torch.arange(count) % CLASSES
    noise = torch.randn(count, dimensions, generator=generator)
    return noise + distance * torch.eye(CLASSES, dimensions)[labels], labels


def best_possible(vectors: Tensor, labels: Tensor) -> float:
    """Accuracy of the rule that knows where the clusters are (their axes are the first CLASSES)."""
    return float((vectors[:, :CLASSES].argmax(dim=1) == labels).float().mean())


def test_the_linear_probe_is_nearly_as_good_as_the_best_rule() -> None:
    vectors, labels = clusters(6_000, seed=0)
    fresh, truth = clusters(6_000, seed=1)
    limit = best_possible(fresh, truth)
    assert 0.8 < limit < 0.95
    assert abs(fit_linear(vectors, labels, CLASSES, seed=0).accuracy(fresh, truth) - limit) < 0.01


def test_the_linear_probe_finds_nothing_in_noise() -> None:
    generator = Generator().manual_seed(0)
    vectors, labels = torch.randn(3_000, 20, generator=generator), torch.arange(3_000) % CLASSES
    probe = fit_linear(vectors, labels, CLASSES, seed=0)
    fresh = torch.randn(6_000, 20, generator=generator)
    assert abs(probe.accuracy(fresh, torch.arange(6_000) % CLASSES) - 1 / CLASSES) < 0.03


def test_few_images_in_many_dimensions_are_not_learned_by_heart() -> None:
    vectors, labels = clusters(300, seed=0, distance=4.0, dimensions=1_000)
    fresh, truth = clusters(3_000, seed=1, distance=4.0, dimensions=1_000)
    assert fit_linear(vectors, labels, CLASSES, seed=0).accuracy(fresh, truth) > 0.6


def test_scale_and_offset_of_a_dimension_do_not_matter() -> None:
    vectors, labels = clusters(1_000, seed=0)
    fresh, truth = clusters(1_000, seed=1)
    scale, offset = torch.logspace(-3, 3, 8), torch.linspace(-10, 10, 8)
    plain = fit_linear(vectors, labels, CLASSES, seed=0).accuracy(fresh, truth)
    moved = fit_linear(vectors * scale + offset, labels, CLASSES, seed=0)
    assert abs(moved.accuracy(fresh * scale + offset, truth) - plain) < 0.005


def test_a_dimension_that_never_varies_does_no_harm() -> None:
    vectors, labels = clusters(1_000, seed=0)
    dead = torch.cat([vectors, torch.full((1_000, 1), 3.0)], dim=1)
    assert torch.isfinite(fit_linear(dead, labels, CLASSES, seed=0).weights).all()


def test_a_seed_fixes_the_linear_probe() -> None:
    vectors, labels = clusters(500, seed=0)
    first, second = (fit_linear(vectors, labels, CLASSES, seed=3) for _ in range(2))
    assert first.penalty == second.penalty
    assert torch.equal(first.weights, second.weights)
    assert not torch.equal(first.weights, fit_linear(vectors, labels, CLASSES, seed=4).weights)


def test_too_few_vectors_to_hold_any_out() -> None:
    vectors, labels = clusters(3, seed=0)
    with pytest.raises(DataError, match="cannot be held out of 3"):
        fit_linear(vectors, labels, CLASSES, seed=0)


def test_knn_equals_its_definition() -> None:
    vectors, labels = clusters(400, seed=0)
    fresh, truth = clusters(150, seed=1)
    k = 7
    unit, queries = (v.numpy() / np.linalg.norm(v.numpy(), axis=1, keepdims=True) for v in (vectors, fresh))
    right = 0
    for query, label in zip(queries, truth.tolist(), strict=True):
        similarity = unit @ query
        nearest = np.argsort(-similarity)[:k]
        votes = [(labels[nearest].numpy() == c).sum() for c in range(CLASSES)]
        support = [similarity[nearest][labels[nearest].numpy() == c].sum() for c in range(CLASSES)]
        right += max(range(CLASSES), key=lambda c: (votes[c], support[c])) == label
    assert knn_accuracy(vectors, labels, fresh, truth, k) == right / len(fresh)


def test_with_one_vote_each_the_nearer_class_wins() -> None:
    bank, labels = torch.tensor([[1.0, 0.0], [0.6, 0.8]]), torch.tensor([1, 0])
    query = torch.tensor([[0.9, 0.1]])
    assert knn_accuracy(bank, labels, query, torch.tensor([1]), k=2) == 1.0


def test_knn_of_more_neighbours_than_there_are() -> None:
    bank, labels = torch.eye(3), torch.tensor([2, 2, 0])
    assert knn_accuracy(bank, labels, torch.ones(1, 3), torch.tensor([2]), k=20) == 1.0


def test_length_does_not_matter_to_knn() -> None:
    vectors, labels = clusters(300, seed=0)
    fresh, truth = clusters(100, seed=1)
    lengths = torch.logspace(-2, 2, 300).unsqueeze(1)
    assert knn_accuracy(vectors * lengths, labels, fresh, truth) == knn_accuracy(
        vectors, labels, fresh, truth
    )
