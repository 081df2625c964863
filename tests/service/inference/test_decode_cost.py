"""What an image is expected to cost, and what is learned of it."""

import pytest

from contract.image_limits import ImageLimits
from contract.images import ALLOWED_FORMATS
from contract.preprocessing import Preprocessing
from service.inference.decode_cost import DecodeCost, DecodeCosts, SizeClass
from tests.pictures import photo, plain

LIMITS = ImageLimits(max_pixels=2_000_000)
PHOTO = photo(1, 640, 480)
PIXELS = 640 * 480


@pytest.fixture
def costs() -> DecodeCosts:
    found = DecodeCosts(LIMITS, small_in_batch=True)
    found.measure(Preprocessing(width=32, height=32))
    return found


def learn(
    costs: DecodeCosts, data: bytes, seconds: float, times: int = 100, *, complete: bool = True
) -> None:
    for _ in range(times):
        costs.learn(costs.of(data), seconds, 2 * seconds, complete=complete)


def test_every_kind_is_measured_before_the_first_image_comes(costs: DecodeCosts) -> None:
    for image_format in ALLOWED_FORMATS:
        assert costs.of(photo(1, 640, 480, image_format)).microseconds > 0


def test_what_was_measured_is_expected_of_the_next_one_by_its_pixels(costs: DecodeCosts) -> None:
    learn(costs, PHOTO, 0.03)
    assert costs.of(PHOTO).microseconds == pytest.approx(30_000, rel=0.01)
    assert costs.of(photo(2, 1280, 960)).microseconds == pytest.approx(120_000, rel=0.01)
    # Of other kinds nothing was learned.
    before = costs.of(photo(1, 640, 480, "PNG")).microseconds
    learn(costs, PHOTO, 3.0)
    assert costs.of(photo(1, 640, 480, "PNG")).microseconds == before


def test_an_image_is_large_by_the_time_it_takes(costs: DecodeCosts) -> None:
    learn(costs, PHOTO, 0.03)
    assert costs.of(PHOTO).size_class is SizeClass.ORDINARY
    assert costs.of(photo(2, 1280, 960)).size_class is SizeClass.LARGE
    learn(costs, PHOTO, 0.003)
    assert costs.of(photo(2, 1280, 960)).size_class is SizeClass.ORDINARY


def test_small_images_teach_nothing_of_large_ones(costs: DecodeCosts) -> None:
    learn(costs, PHOTO, 0.03)
    learn(costs, photo(1, 200, 200), 0.03)
    assert costs.of(PHOTO).microseconds == pytest.approx(30_000, rel=0.01)


def test_what_failed_early_teaches_nothing_and_what_failed_late_does(costs: DecodeCosts) -> None:
    learn(costs, PHOTO, 0.03)
    learn(costs, PHOTO, 0.0001, complete=False)
    assert costs.of(PHOTO).microseconds == pytest.approx(30_000, rel=0.01)
    learn(costs, PHOTO, 0.09, complete=False)
    assert costs.of(PHOTO).microseconds > 80_000


@pytest.mark.parametrize("data", [plain(1, 3000), b"no image", b""], ids=["too many pixels", "none", "empty"])
def test_what_will_be_refused_costs_nothing(costs: DecodeCosts, data: bytes) -> None:
    cost = costs.of(data)
    assert (cost.size_class is SizeClass.LARGE, cost.microseconds) == (False, 0)
    costs.learn(cost, 5.0, 5.0, complete=False)


def test_few_bytes_that_are_many_pixels_are_not_small(costs: DecodeCosts) -> None:
    wide = plain(2, 400)
    assert len(wide) < 8192
    assert costs.of(wide).size_class is SizeClass.ORDINARY
    assert costs.of(plain(2, 100)) == DecodeCost(SizeClass.SMALL, "PNG", 10_000, 0)


def test_beside_a_gpu_no_image_is_small() -> None:
    costs = DecodeCosts(LIMITS, small_in_batch=False)
    assert costs.of(photo()).size_class is SizeClass.ORDINARY


def test_a_busy_machine_changes_how_long_it_takes_and_not_what_it_costs(costs: DecodeCosts) -> None:
    for _ in range(100):
        costs.learn(costs.of(PHOTO), 0.03, 0.3, complete=True)
    assert costs.of(PHOTO).microseconds == pytest.approx(30_000, rel=0.01)
    assert costs.of(PHOTO).size_class is SizeClass.ORDINARY
    assert costs.slowdown == pytest.approx(10, rel=0.01)
