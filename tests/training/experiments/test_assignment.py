"""The assignment is the cheapest one, whatever the costs."""

from itertools import permutations

import numpy as np
import pytest
from numpy.typing import NDArray

from training.experiments.baselines.assignment import cheapest_assignment


def cheapest_cost(costs: NDArray[np.float64]) -> float:
    """By trying every permutation."""
    rows = np.arange(len(costs))
    return min(float(costs[rows, list(columns)].sum()) for columns in permutations(rows))


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6])
@pytest.mark.parametrize("ties", [False, True])
def test_no_permutation_is_cheaper(count: int, ties: bool) -> None:
    generator = np.random.default_rng(count)
    for _ in range(20):
        drawn = generator.normal(size=(count, count))
        costs = np.sign(drawn) if ties else drawn
        columns = cheapest_assignment(costs)
        assert sorted(columns) == list(range(count))
        assert costs[np.arange(count), columns].sum() == pytest.approx(cheapest_cost(costs))


def test_a_hidden_permutation_is_found() -> None:
    hidden = np.random.default_rng(0).permutation(128)
    costs = np.ones((128, 128))
    costs[np.arange(128), hidden] = 0
    assert (cheapest_assignment(costs) == hidden).all()


@pytest.mark.parametrize("costs", [np.zeros((2, 3)), np.full((2, 2), np.nan)], ids=["shape", "nan"])
def test_costs_that_mean_nothing(costs: NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match="finite and square"):
        cheapest_assignment(costs)
