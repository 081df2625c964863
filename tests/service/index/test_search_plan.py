"""Choice between graph and rows."""

import pytest

from service.index.search_plan import SPARE_CANDIDATES, Recall, filtered, unfiltered

MILLION = 10**6
APPROXIMATE = pytest.mark.parametrize("recall", [Recall.HIGH, Recall.FAST])


@APPROXIMATE
def test_candidates_follow_k_up_to_the_limit_of_pgvector(recall: Recall) -> None:
    breadths = [unfiltered(recall, k).breadth for k in range(1, 1001)]
    assert breadths == sorted(breadths)
    assert breadths[0] < breadths[-1] <= 1000
    assert all(breadth >= min(1000, k + SPARE_CANDIDATES) for k, breadth in enumerate(breadths, 1))


def test_high_recall_looks_at_more_than_fast() -> None:
    assert all(
        unfiltered(Recall.HIGH, k).breadth > unfiltered(Recall.FAST, k).breadth for k in (1, 10, 100, 200)
    )


@APPROXIMATE
def test_few_rows_that_the_index_of_metadata_finds_are_read_one_by_one(recall: Recall) -> None:
    assert filtered(recall, 10, MILLION, 0.001, indexed=True) is None
    walk = filtered(recall, 10, MILLION, 0.1, indexed=True)
    assert walk is not None
    # As many candidates pass as a search without a filter has.
    assert 0.1 * walk.breadth >= min(100, 10 + SPARE_CANDIDATES)


def test_rows_that_no_index_finds_are_read_only_where_the_walk_would_be_longer_still() -> None:
    assert filtered(Recall.HIGH, 10, MILLION, 0.01, indexed=False) is not None
    assert filtered(Recall.HIGH, 10, MILLION, 0.0001, indexed=False) is None


@APPROXIMATE
@pytest.mark.parametrize("indexed", [True, False])
def test_the_larger_the_share_the_sooner_the_graph(recall: Recall, indexed: bool) -> None:
    shares = [10 ** (-exponent / 4) for exponent in range(20, -1, -1)]
    by_graph = [filtered(recall, 10, MILLION, share, indexed=indexed) is not None for share in shares]
    if indexed:
        # All rows pass: no index helps, and the graph is far shorter.
        assert by_graph[-1]
    assert by_graph == sorted(by_graph)


def test_the_walk_may_be_long_enough_to_find_k() -> None:
    for share in (1.0, 0.1, 0.01, 0.001):
        walk = filtered(Recall.HIGH, 100, 10 * MILLION, share, indexed=False)
        assert walk is not None
        assert walk.most * share >= 100
