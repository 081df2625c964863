"""The report's rules on toy inputs: what is spoilt is found, what is healthy is not."""

import math
import re
from collections.abc import Callable
from typing import Literal

import pytest
import torch
from torch import Generator, Tensor

from training.report.accuracies import standard_error
from training.report.findings import (
    CHECKS,
    Dependence,
    RunFinding,
    at_cap,
    collapse,
    dead_dimensions,
    no_better_than_pixels,
    no_better_than_untrained,
    overfitting_critic,
    too_few_images,
)
from training.report.length import extension, falling_share, too_few_steps
from training.report.shape import shape_of
from training.report.verdict import health, ordered

Check = Callable[[float, float, int], RunFinding | None]
Severity = Literal["failure", "undecided", "warning"]


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
    assert too_few_steps(decay(5_000, rate=20), 5_000, 100) is None
    assert too_few_steps([(step, 3.0) for step in range(50, 1001, 50)], 1_000, 200) is None


def test_a_loss_that_still_falls_is_found_with_the_epochs_that_it_takes() -> None:
    finding = too_few_steps(decay(5_000, rate=2), 5_000, 100)
    assert finding is not None
    assert "still improving" in finding.title
    (epochs,) = re.findall(r"--epochs (\d+)", finding.remedy)
    assert 75 < int(epochs) < 200


@pytest.mark.parametrize("rate", [0.8, 1.2, 2.0])
def test_after_the_advised_number_of_epochs_an_exponential_loss_has_settled(rate: float) -> None:
    """The law behind the advice: the same loss, seen for as much longer, passes the check, and just so."""
    steps = 5_000
    factor = extension(falling_share(decay(steps, rate), steps))
    longer = round(factor * steps)
    assert factor > 1
    assert falling_share(decay(longer, rate * factor), longer) == pytest.approx(0.05, abs=0.02)


def test_a_loss_that_falls_as_fast_as_ever_asks_for_a_bounded_number_of_epochs() -> None:
    falling = [(step, 10 - step / 1_000) for step in range(50, 5_001, 50)]
    finding = too_few_steps(falling, 5_000, 100)
    assert finding is not None
    assert "--epochs 400;" in finding.remedy


@pytest.mark.parametrize(("steps", "steps_per_epoch", "epochs"), [(1, 1, 2_000), (8, 4, 500), (499, 300, 7)])
def test_a_run_of_a_few_steps_is_not_judged_whatever_its_loss(
    steps: int, steps_per_epoch: int, epochs: int
) -> None:
    finding = too_few_steps([(steps, 3.0)], steps, steps_per_epoch)
    assert finding is not None
    assert finding.severity == "undecided"
    assert finding.title == "Too short to judge"
    assert f"--epochs {epochs};" in finding.remedy


def test_a_bound_at_its_ceiling_is_named_with_both() -> None:
    caps = {"pairwise": math.log(511), "local_conv": math.log(256)}
    assert at_cap({"pairwise": 4.0, "local_conv": 3.0}, caps) is None
    assert at_cap({}, caps) is None
    assert at_cap({"dv": 90.0}, {}) is None
    finding = at_cap({"pairwise": 6.2, "local_conv": 3.0}, caps)
    assert finding is not None
    assert "pairwise (6.20 of 6.24 nats)" in finding.evidence
    assert "local_conv" not in finding.evidence


@pytest.mark.parametrize("check", [no_better_than_pixels, no_better_than_untrained])
def test_an_encoder_has_to_beat_what_needs_no_training(check: Check) -> None:
    assert check(0.5, 0.4, 1_000) is None
    finding = check(0.40, 0.45, 1_000)
    assert finding is not None
    assert finding.severity == "failure"
    assert "on 1,000 held-out images: 40.0% by the embedding, 45.0% by" in finding.evidence


@pytest.mark.parametrize("check", [no_better_than_pixels, no_better_than_untrained])
def test_a_difference_that_may_be_chance_is_no_success(check: Check) -> None:
    """The issue's case: all of 21 images classified correctly say little."""
    finding = check(1.0, 0.9, 21)
    assert finding is not None
    assert finding.severity == "warning"
    assert "hardly better" in finding.title
    assert check(1.0, 0.9, 1_000) is None


def test_few_images_are_not_judged_by() -> None:
    assert too_few_images(50) is None
    finding = too_few_images(21)
    assert finding is not None
    assert finding.severity == "undecided"
    assert "measured on 21 images" in finding.evidence


@pytest.mark.parametrize("accuracy", [0.0, 0.5, 1.0])
def test_a_standard_error_is_never_0_and_falls_with_the_root_of_the_images(accuracy: float) -> None:
    few, many = standard_error(accuracy, 25), standard_error(accuracy, 10_000)
    assert few > 0.04
    assert 0 < many < 0.0052
    # Simulated: the spread of accuracies of as many draws.
    draws = torch.rand(20_000, 400, generator=Generator().manual_seed(0)) < 0.3
    assert standard_error(0.3, 400) == pytest.approx(float(draws.float().mean(dim=1).std()), rel=0.05)


def found(check: str, severity: Severity) -> RunFinding:
    return RunFinding(check, severity, f"Title of {check}", f"Evidence of {check}.", "Remedy.")


def test_the_verdict_names_what_decides_it() -> None:
    pixels, few = found("pixels", "failure"), found("images", "undecided")
    short, critic = found("steps", "undecided"), found("critic", "warning")
    collapsed = found("collapse", "failure")
    assert health(ordered([critic])) == "The encoder is healthy, but one thing could be better."
    assert health(ordered([critic, pixels])) == "Do not use this encoder: title of pixels."
    assert health(ordered([critic, pixels, short])) == "Title of steps. Evidence of steps."
    assert health(ordered([critic, few])) == "Title of images. Evidence of images."
    assert health(ordered([collapsed, short])) == "Title of steps. Evidence of steps."
    assert health(ordered([few, collapsed])) == "Do not use this encoder: title of collapse."
    falling = found("steps", "warning")
    assert health(ordered([falling, collapsed])) == "Do not use this encoder: title of collapse."
    assert "healthy: nothing" in health([])


def test_every_finding_is_of_a_check_that_a_report_lists() -> None:
    line = shape_of(normal(200, 1) * torch.ones(1, 64))
    dead = shape_of(torch.cat([normal(200, 4), torch.zeros(200, 60)], dim=1))
    results: list[RunFinding | None] = [
        collapse("fc", line),
        dead_dimensions("fc", dead),
        too_few_images(3),
        no_better_than_pixels(0.1, 0.2, 100),
        no_better_than_untrained(0.1, 0.2, 100),
        overfitting_critic([Dependence("pairwise", 4.0, 1.0)]),
        too_few_steps([(8, 3.0)], 8, 4),
        at_cap({"pairwise": 5.0}, {"pairwise": 5.0}),
    ]
    assert [finding.check for finding in results if finding is not None] == list(CHECKS)
