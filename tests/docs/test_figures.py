"""Figures of the mathematics page: what their captions claim."""

import math

import pytest

from docs.figures import bound, nats_by_bank


@pytest.mark.parametrize("estimator", ["infonce", "dv", "kl"])
def test_with_little_information_every_estimator_tells_the_truth(estimator: str) -> None:
    assert bound(estimator, 0.5, batch=64).mean == pytest.approx(0.5, abs=0.1)


def test_infonce_cannot_exceed_the_logarithm_of_its_batch_and_dv_can() -> None:
    ceiling = math.log(64)
    assert bound("infonce", 10, batch=64).mean < ceiling
    assert bound("dv", 10, batch=64).mean > 2 * ceiling


def test_a_bank_is_right_up_to_its_logarithm_and_too_high_beyond() -> None:
    assert nats_by_bank(2, bank=4_096).mean == pytest.approx(2, abs=0.1)
    assert nats_by_bank(8, bank=64).mean > 10
