"""Which images keep their labels, and how many labels an accuracy is worth."""

import math

import numpy as np
import pytest

from training.errors import TrainingError
from training.experiments.utility.equivalent import Equivalent, equivalent_labels
from training.experiments.utility.subsets import check_label_counts, default_label_counts, labelled_rows

LABELS = (10, 100, 1000)


@pytest.mark.parametrize(
    ("reached", "expected"),
    [(0.3, math.sqrt(10 * 100)), (0.45, 100 * 10**0.25), (0.5, math.sqrt(100 * 1000)), (0.4, 100), (0.2, 10)],
)
def test_between_two_points_the_curve_is_straight_over_the_logarithm(reached: float, expected: float) -> None:
    found = equivalent_labels(LABELS, (0.2, 0.4, 0.6), reached)
    assert found.bound == "exactly"
    assert found.labels == pytest.approx(expected)


def test_beyond_either_end_there_is_a_bound() -> None:
    assert equivalent_labels(LABELS, (0.2, 0.4, 0.6), 0.61) == Equivalent(labels=1000, bound="more than")
    assert equivalent_labels(LABELS, (0.2, 0.4, 0.6), 0.19) == Equivalent(labels=10, bound="fewer than")
    assert equivalent_labels((50,), (0.3,), 0.4) == Equivalent(labels=50, bound="more than")


def test_the_best_from_scratch_is_reached_and_no_bound() -> None:
    assert equivalent_labels(LABELS, (0.2, 0.4, 0.6), 0.6) == Equivalent(labels=1000)
    mean = (0.55 + 0.65) / 2
    assert mean != 0.6
    assert equivalent_labels(LABELS, (0.2, 0.4, 0.6), mean) == Equivalent(labels=1000)


@pytest.mark.parametrize("accuracies", [(0.2, 0.4, 0.4), (0.2, 0.4, 0.3)], ids=["tie", "dip"])
def test_of_equally_good_numbers_of_labels_the_smallest_counts(accuracies: tuple[float, ...]) -> None:
    assert equivalent_labels(LABELS, accuracies, 0.4) == Equivalent(labels=100)


def test_a_dip_is_raised_to_the_best_so_far() -> None:
    labels, accuracies = (10, 100, 1000, 10_000), (0.2, 0.5, 0.4, 0.6)
    assert equivalent_labels(labels, accuracies, 0.45).labels == pytest.approx(10 * 10 ** (0.25 / 0.3))
    assert equivalent_labels(labels, accuracies, 0.55).labels == pytest.approx(math.sqrt(1000 * 10_000))


def test_utility_is_the_share_of_labels_saved() -> None:
    assert Equivalent(labels=320).utility(100) == pytest.approx(2.2)
    assert Equivalent(labels=100).utility(100) == 0
    assert Equivalent(labels=50).utility(100) == -0.5


def classes_of(sizes: tuple[int, ...]) -> np.ndarray:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return np.random.default_rng(0).permutation(labels).astype(np.int64)


@pytest.mark.parametrize("count", [4, 6, 20, 39])
def test_classes_are_as_equally_frequent_as_can_be(count: int) -> None:
    labels = classes_of((10, 10, 10, 10))
    frequency = np.bincount(labels[labelled_rows(labels, count, seed=0)], minlength=4)
    assert frequency.sum() == count
    assert np.ptp(frequency) <= 1


def test_a_class_with_too_few_images_gives_all_and_the_others_make_up_for_it() -> None:
    labels = classes_of((3, 30, 30))
    assert np.bincount(labels[labelled_rows(labels, 23, seed=1)]).tolist() == [3, 10, 10]


def test_subsets_of_a_seed_are_nested_and_end_with_all() -> None:
    labels = classes_of((5, 20, 12))
    smaller: set[int] = set()
    for count in (3, 8, 20, len(labels)):
        rows = labelled_rows(labels, count, seed=2)
        assert rows.tolist() == sorted(set(rows.tolist()))
        assert smaller < set(rows.tolist())
        smaller = set(rows.tolist())
    assert smaller == set(range(len(labels)))


def test_a_seed_fixes_the_draw_and_another_seed_draws_others() -> None:
    labels = classes_of((50, 50))
    first, again, other = (labelled_rows(labels, 20, seed) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    # The odd image out is not always of the same class.
    assert len({int(labels[labelled_rows(labels, 1, seed)][0]) for seed in range(20)}) == 2


def test_default_numbers_of_labels_are_geometric_from_fifty_to_all() -> None:
    counts = default_label_counts(3068, classes=10)
    assert (counts[0], counts[-1], len(counts)) == (50, 3068, 6)
    ratios = np.array(counts[1:]) / np.array(counts[:-1])
    assert ratios.max() / ratios.min() < 1.1
    assert default_label_counts(40, classes=10) == (40,)
    assert default_label_counts(60, classes=10) == (50, 52, 54, 56, 58, 60)
    assert default_label_counts(5000, classes=200)[0] == 200


def test_impossible_numbers_of_labels_are_refused() -> None:
    labels = classes_of((100,) * 12)
    check_label_counts((12, 1200), labels)
    with pytest.raises(TrainingError, match=r"^11 labels are fewer than the 12 classes.* at least 12\.$"):
        check_label_counts((50, 11), labels)
    with pytest.raises(TrainingError, match=r"^1201 labels are more than the 1200 training images"):
        check_label_counts((1201,), labels)
    with pytest.raises(TrainingError, match=r"^5 labels are too few to hold a tenth of them out"):
        check_label_counts((5,), classes_of((10, 10)))
