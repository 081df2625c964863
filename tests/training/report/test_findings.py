"""The report's rules on toy inputs: what is spoilt is found, what is healthy is not."""

import math

import pytest
import torch
from torch import Generator, Tensor

from training.report.findings import (
    CHECKS,
    Dependence,
    RunFinding,
    at_cap,
    collapse,
    dead_dimensions,
    no_better_than_pixels,
    overfitting_critic,
    too_few_steps,
)
from training.report.shape import shape_of


def normal(images: int, dimensions: int) -> Tensor:
    return torch.randn(images, dimensions, generator=Generator().manual_seed(0))


def decay(steps: int, rate: float) -> list[tuple[int, float]]:
    """A loss that falls from 10 towards 2, logged as a run logs it."""
    return [(step, 2 + 8 * math.exp(-rate * step / steps)) for step in range(50, steps + 1, 50)]


def test_a_healthy_code_is_not_found() -> None:
    shape = shape_of(normal(200, 64))
    assert collapse("code", shape) is None
    assert dead_dimensions("code", shape) is None


def test_a_healthy_layer_of_rectified_units_with_more_dimensions_than_images_is_not_found() -> None:
    shape = shape_of(normal(60, 512).relu())
    assert shape.directions == 59
    assert collapse("fc", shape) is None
    assert dead_dimensions("fc", shape) is None


@pytest.mark.parametrize(
    "vectors",
    [
        pytest.param(normal(200, 1) * torch.ones(1, 64), id="a line"),
        pytest.param(normal(200, 2) @ normal(2, 64), id="a plane of 64 dimensions"),
        pytest.param(torch.ones(200, 64), id="one point"),
        pytest.param(torch.zeros(200, 64), id="nothing"),
        pytest.param(torch.ones(200, 64) + 0.01 * normal(200, 64), id="nearly one point, in all directions"),
    ],
)
def test_a_collapsed_code_is_found(vectors: Tensor) -> None:
    finding = collapse("code", shape_of(vectors))
    assert finding is not None
    assert finding.severity == "failure"
    assert "code" in finding.title
    assert "nan" not in finding.evidence


def test_dead_dimensions_are_counted() -> None:
    vectors = normal(200, 64)
    vectors[:, :40] = 0
    shape = shape_of(vectors)
    assert shape.dead == pytest.approx(40 / 64)
    finding = dead_dimensions("fc", shape)
    assert finding is not None
    assert "62% of the 64 dimensions" in finding.evidence
    assert collapse("fc", shape) is None


def test_a_critic_that_holds_for_new_images_is_not_found() -> None:
    assert overfitting_critic([Dependence("pairwise", 4.0, 3.6), Dependence("local_conv", 2.0, 1.8)]) is None
    # Nothing is learned yet, so nothing is learned by heart.
    assert overfitting_critic([Dependence("pairwise", 0.05, -0.02)]) is None
    assert overfitting_critic([]) is None


def test_the_critic_that_forgets_most_on_new_images_is_named() -> None:
    terms = [Dependence("pairwise", 4.0, 2.5), Dependence("local_conv", 3.0, 1.0)]
    finding = overfitting_critic(terms)
    assert finding is not None
    assert "local_conv reaches 3.00 on training images and 1.00 on held-out ones" in finding.evidence
    assert "min_crop" in finding.remedy


def test_a_settled_loss_is_not_found() -> None:
    assert too_few_steps(decay(5_000, rate=20), 5_000, 30) is None
    assert too_few_steps([(step, 3.0) for step in range(50, 1001, 50)], 1_000, 5) is None


def test_a_loss_that_still_falls_is_found() -> None:
    finding = too_few_steps(decay(5_000, rate=2), 5_000, 30)
    assert finding is not None
    assert "still improving" in finding.title
    assert "from 30 to 60" in finding.remedy


def test_a_run_of_a_few_steps_is_too_short_whatever_its_loss() -> None:
    finding = too_few_steps([(8, 3.0)], 8, 2)
    assert finding is not None
    assert "Only 8 steps" in finding.evidence


def test_a_bound_at_its_ceiling_is_named_with_both() -> None:
    caps = {"pairwise": math.log(511), "local_conv": math.log(256)}
    assert at_cap({"pairwise": 4.0, "local_conv": 3.0}, caps) is None
    assert at_cap({}, caps) is None
    assert at_cap({"dv": 90.0}, {}) is None
    finding = at_cap({"pairwise": 6.2, "local_conv": 3.0}, caps)
    assert finding is not None
    assert "pairwise (6.20 of 6.24 nats)" in finding.evidence
    assert "local_conv" not in finding.evidence


def test_an_encoder_has_to_beat_raw_pixels() -> None:
    assert no_better_than_pixels(0.5, 0.45) is None
    finding = no_better_than_pixels(0.40, 0.45)
    assert finding is not None
    assert finding.severity == "failure"


def test_every_finding_is_of_a_check_that_a_report_lists() -> None:
    line = shape_of(normal(200, 1) * torch.ones(1, 64))
    dead = shape_of(torch.cat([normal(200, 4), torch.zeros(200, 60)], dim=1))
    found: list[RunFinding | None] = [
        collapse("fc", line),
        dead_dimensions("fc", dead),
        no_better_than_pixels(0.1, 0.2),
        overfitting_critic([Dependence("pairwise", 4.0, 1.0)]),
        too_few_steps([(8, 3.0)], 8, 2),
        at_cap({"pairwise": 5.0}, {"pairwise": 5.0}),
    ]
    assert [finding.check for finding in found if finding is not None] == list(CHECKS)
