"""The estimated wait, by the work that is held and the rate at which work is done."""

import pytest

from service.inference import wait_estimate
from service.inference.resources import Resources
from service.inference.results import Priority
from service.inference.wait_estimate import WaitEstimate

NOTHING = Resources(0, 0)
IMAGES_PER_SECOND = 500.0
DECODE_MICROSECONDS = 12_000


def photographs(count: int) -> Resources:
    return Resources(count, count * 100_000, decode_microseconds=count * DECODE_MICROSECONDS)


def held(resources: Resources) -> dict[Priority, Resources]:
    return {Priority.INTERACTIVE: resources, Priority.BULK: NOTHING}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(wait_estimate, "perf_counter", lambda: now[0])
    return now


@pytest.mark.parametrize("per_second", [20, 100, 400])
def test_photographs_wait_for_those_before_them_at_the_rate_at_which_they_are_answered(
    clock: list[float], per_second: int
) -> None:
    # The threads' own time is not the wall's: others use the cores, and inference too.
    estimate = WaitEstimate(32, IMAGES_PER_SECOND, decoders=2, slowdown=lambda: 3.0)
    estimate.begin(photographs(64))
    for _ in range(10 * per_second):
        clock[0] += 1 / per_second
        estimate.finished(1, DECODE_MICROSECONDS, 0.01, photographs(64))
    assert estimate.seconds(held(photographs(64)), photographs(1)) == pytest.approx(64 / per_second, rel=0.1)


def test_photographs_after_a_time_of_small_images_wait_as_their_pixels_say(clock: list[float]) -> None:
    estimate = WaitEstimate(32, IMAGES_PER_SECOND, decoders=2)
    small = Resources(64, 64_000)
    for _ in range(10_000):
        clock[0] += 1 / IMAGES_PER_SECOND
        estimate.finished(1, 0, 0.01, small)
    own = 1 / IMAGES_PER_SECOND + DECODE_MICROSECONDS / 1e6 / 2
    assert estimate.seconds(held(photographs(20)), photographs(1)) == pytest.approx(20 * own, rel=0.05)
    assert estimate.seconds(held(small), small) == pytest.approx(64 / IMAGES_PER_SECOND, rel=0.05)


def test_a_small_image_passes_by_the_decoding_threads() -> None:
    estimate = WaitEstimate(32, IMAGES_PER_SECOND, decoders=2)
    small = Resources(1, 1000)
    assert estimate.seconds(held(photographs(20)), small) == pytest.approx(20 / IMAGES_PER_SECOND)


def test_the_rate_is_measured_where_few_photographs_are_the_work_of_a_batch() -> None:
    estimate = WaitEstimate(32, IMAGES_PER_SECOND, decoders=2)
    assert not estimate.is_full_work(Resources(8, 8000))
    assert estimate.is_full_work(photographs(8))
