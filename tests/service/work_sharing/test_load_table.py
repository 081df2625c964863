"""Which peer answers a chunk."""

from pathlib import Path

import pytest

from service.work_sharing.load_table import LoadTable


@pytest.fixture
def tables(tmp_path: Path) -> list[LoadTable]:
    """Open the table for three workers."""
    LoadTable.create(tmp_path / "table", 3)
    return [LoadTable.open(tmp_path / "table", own, 3) for own in range(3)]


def test_a_busy_peer_is_not_borrowed(tables: list[LoadTable]) -> None:
    first, second, third = tables
    second.count_busy(1)
    second.count_busy(1)
    third.count_busy(1)
    assert first.borrow(1) is None
    second.count_busy(-1)
    assert first.borrow(1) is None
    second.count_busy(-1)
    assert first.borrow(1) == 1


def test_a_busy_worker_may_borrow(tables: list[LoadTable]) -> None:
    tables[0].count_busy(1)
    assert tables[0].borrow(1) == 1


def test_the_peer_with_the_fewest_chunks_is_borrowed(tables: list[LoadTable]) -> None:
    assert [tables[0].borrow(9) for _ in range(5)] == [1, 2, 1, 2, 1]
    tables[0].give_back(2)
    tables[0].give_back(2)
    assert [tables[0].borrow(9) for _ in range(3)] == [2, 2, 2]


def test_a_peer_has_at_most_two_chunks_or_as_many_as_are_answered_here(
    tables: list[LoadTable],
) -> None:
    first = tables[0]
    assert [first.borrow(1) for _ in range(5)] == [1, 2, 1, 2, None]
    assert [first.borrow(3) for _ in range(3)] == [1, 2, None]
    lent = [first.borrow(1000) for _ in range(100)]
    assert 0 < lent.count(1) == lent.count(2) < 50


def test_a_peer_answers_chunks_of_one_worker(tables: list[LoadTable]) -> None:
    first, _, third = tables
    assert first.borrow(1) == 1
    assert third.borrow(1) == 0
    assert [first.borrow(2), third.borrow(2), third.borrow(2)] == [2, 0, None]


def test_an_answer_makes_room_for_the_next_chunk(tables: list[LoadTable]) -> None:
    first, second, third = tables
    third.count_busy(1)
    assert [first.borrow(2), first.borrow(2), first.borrow(2)] == [1, 1, None]
    first.give_back(1)
    assert first.borrow(2) == 1
    first.give_back(1)
    first.give_back(1)
    second.count_busy(1)
    assert first.borrow(2) is None


def test_the_row_of_a_killed_worker_is_cleared_by_its_replacement(tmp_path: Path) -> None:
    file = tmp_path / "table"
    LoadTable.create(file, 3)
    other = LoadTable.open(file, 1, 3)
    with file.open("r+b") as left_behind:
        # Two of its models were busy, and both peers had chunks of it.
        left_behind.write(bytes([2, 1, 2]))
    assert other.borrow(1) is None
    LoadTable.open(file, 0, 3)
    assert [other.borrow(1), other.borrow(1), other.borrow(1)] == [0, 2, 0]


def test_the_only_worker_has_no_peer() -> None:
    assert LoadTable.alone().borrow(1) is None
