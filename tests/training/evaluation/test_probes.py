"""Probes: they find what is there, find nothing where nothing is, and say the same twice."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from training.errors import DataError
from training.evaluation.probes import BankNeighbours, fit_linear, fit_nonlinear, fit_svm, knn_accuracy
from training.evaluation.probes.penalised import LinearProbe
from training.evaluation.probes.svm import squared_hinge

CLASSES = 3


class Probe(Protocol):
    """A fitted probe of any kind."""

    def accuracy(self, vectors: Tensor, labels: Tensor) -> float: ...


Fit = Callable[..., Probe]


def clusters(count: int, seed: int, distance: float = 2.0, dimensions: int = 8) -> tuple[Tensor, Tensor]:
    """Gaussians of unit deviation around CLASSES corners that are `distance` from the origin."""
    generator = Generator().manual_seed(seed)
    labels = torch.arange(count) % CLASSES
    noise = torch.randn(count, dimensions, generator=generator)
    return noise + distance * torch.eye(CLASSES, dimensions)[labels], labels


def best_possible(vectors: Tensor, labels: Tensor) -> float:
    """Accuracy of the rule that knows where the clusters are (their axes are the first CLASSES)."""
    return float((vectors[:, :CLASSES].argmax(dim=1) == labels).float().mean())


LINEAR = pytest.mark.parametrize("fit", [fit_linear, fit_svm], ids=["logistic", "svm"])
EVERY = pytest.mark.parametrize(
    "fit", [fit_linear, fit_svm, fit_nonlinear], ids=["logistic", "svm", "nonlinear"]
)


def exclusive_or(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Points of a square around the origin, and whether their two signs differ: no line parts the classes."""
    points = 2 * torch.rand(count, 2, generator=Generator().manual_seed(seed)) - 1
    return points, (points[:, 0] * points[:, 1] < 0).long()


@EVERY
def test_a_probe_is_nearly_as_good_as_the_best_rule(fit: Fit) -> None:
    vectors, labels = clusters(6_000, seed=0)
    fresh, truth = clusters(6_000, seed=1)
    limit = best_possible(fresh, truth)
    assert 0.8 < limit < 0.95
    assert abs(fit(vectors, labels, CLASSES, seed=0).accuracy(fresh, truth) - limit) < 0.01


@EVERY
def test_a_probe_finds_nothing_in_noise(fit: Fit) -> None:
    generator = Generator().manual_seed(0)
    vectors, labels = torch.randn(3_000, 20, generator=generator), torch.arange(3_000) % CLASSES
    probe = fit(vectors, labels, CLASSES, seed=0)
    fresh = torch.randn(6_000, 20, generator=generator)
    assert abs(probe.accuracy(fresh, torch.arange(6_000) % CLASSES) - 1 / CLASSES) < 0.03


@LINEAR
def test_few_images_in_many_dimensions_are_not_learned_by_heart(fit: Fit) -> None:
    vectors, labels = clusters(300, seed=0, distance=4.0, dimensions=1_000)
    fresh, truth = clusters(3_000, seed=1, distance=4.0, dimensions=1_000)
    assert fit(vectors, labels, CLASSES, seed=0).accuracy(fresh, truth) > 0.6


@EVERY
def test_scale_and_offset_of_a_dimension_do_not_matter(fit: Fit) -> None:
    vectors, labels = clusters(1_000, seed=0)
    fresh, truth = clusters(1_000, seed=1)
    scale, offset = torch.logspace(-3, 3, 8), torch.linspace(-10, 10, 8)
    plain = fit(vectors, labels, CLASSES, seed=0).accuracy(fresh, truth)
    moved = fit(vectors * scale + offset, labels, CLASSES, seed=0)
    assert abs(moved.accuracy(fresh * scale + offset, truth) - plain) < 0.005


@LINEAR
def test_a_dimension_that_never_varies_does_no_harm(fit: Callable[..., LinearProbe]) -> None:
    vectors, labels = clusters(1_000, seed=0)
    dead = torch.cat([vectors, torch.full((1_000, 1), 3.0)], dim=1)
    assert torch.isfinite(fit(dead, labels, CLASSES, seed=0).weights).all()


@LINEAR
def test_a_seed_fixes_a_linear_probe(fit: Callable[..., LinearProbe]) -> None:
    vectors, labels = clusters(500, seed=0)
    first, second = (fit(vectors, labels, CLASSES, seed=3) for _ in range(2))
    assert first.penalty == second.penalty
    assert torch.equal(first.weights, second.weights)
    assert not torch.equal(first.weights, fit(vectors, labels, CLASSES, seed=4).weights)


@EVERY
def test_too_few_vectors_to_hold_any_out(fit: Fit) -> None:
    vectors, labels = clusters(3, seed=0)
    with pytest.raises(DataError, match="cannot be held out of 3"):
        fit(vectors, labels, CLASSES, seed=0)


@LINEAR
def test_no_linear_probe_solves_exclusive_or(fit: Fit) -> None:
    points, labels = exclusive_or(2_000, seed=0)
    assert fit(points, labels, 2, seed=0).accuracy(*exclusive_or(2_000, seed=1)) < 0.6


def test_the_non_linear_probe_solves_exclusive_or() -> None:
    points, labels = exclusive_or(2_000, seed=0)
    assert fit_nonlinear(points, labels, 2, seed=0).accuracy(*exclusive_or(2_000, seed=1)) > 0.95


def test_a_seed_fixes_the_non_linear_probe_and_leaves_other_randomness_alone() -> None:
    vectors, labels = clusters(500, seed=0)
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    first = fit_nonlinear(vectors, labels, CLASSES, seed=3)
    assert torch.equal(torch.rand(3), expected)
    second = fit_nonlinear(vectors, labels, CLASSES, seed=3)
    assert first.epochs == second.epochs
    for name, value in first.network.state_dict().items():
        assert torch.equal(value, second.network.state_dict()[name])


def test_the_squared_hinge_is_its_definition() -> None:
    scores, labels = torch.tensor([[2.0, -0.5], [0.5, 0.25]]), torch.tensor([0, 1])
    # (1 - 2)+ and (1 - 0.5)+ of the first image; (1 + 0.5)+ and (1 - 0.25)+ of the second.
    assert squared_hinge(scores, labels).item() == pytest.approx((0.5**2 + 1.5**2 + 0.75**2) / 2)


def test_the_svm_stands_at_the_minimum_of_its_objective() -> None:
    """Its gradient is zero, and it is not where logistic regression ends."""
    vectors, labels = clusters(600, seed=0)
    probe = fit_svm(vectors, labels, CLASSES, seed=0)
    weights = probe.weights.clone().requires_grad_()
    standardised = (vectors - probe.mean) / probe.scale
    loss = squared_hinge(standardised @ weights.T + probe.biases, labels)
    (loss + probe.penalty / 2 * weights.square().sum()).backward()
    assert weights.grad is not None
    assert weights.grad.abs().max() < 1e-3
    assert not torch.allclose(probe.weights, fit_linear(vectors, labels, CLASSES, seed=0).weights, atol=0.05)


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


def test_weighted_knn_equals_its_definition() -> None:
    vectors, labels = clusters(400, seed=0)
    fresh, truth = clusters(150, seed=1)
    unit, queries = (v.double() / v.double().norm(dim=1, keepdim=True) for v in (vectors, fresh))
    right = 0
    for query, label in zip(queries, truth.tolist(), strict=True):
        nearest = (unit @ query).argsort(descending=True)[:200]
        weights = (unit[nearest] @ query / 0.07).exp()
        right += max(range(CLASSES), key=lambda c: float(weights[labels[nearest] == c].sum())) == label
    assert BankNeighbours.find(vectors, labels, fresh).weighted_accuracy(truth) == right / len(fresh)


def test_a_near_neighbour_outweighs_many_far_ones() -> None:
    bank = torch.tensor([[1.0, 0.0], *[[0.5, 0.9]] * 20])
    labels = torch.tensor([0] + [1] * 20)
    query, truth = torch.tensor([[1.0, 0.0]]), torch.tensor([0])
    assert BankNeighbours.find(bank, labels, query).weighted_accuracy(truth) == 1.0
    assert knn_accuracy(bank, labels, query, truth) == 0.0


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
