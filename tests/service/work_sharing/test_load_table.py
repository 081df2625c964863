"""Who has time for whom."""

from pathlib import Path

import pytest

from service.work_sharing.load_table import LoadTable


@pytest.fixture
def tables(tmp_path: Path) -> list[LoadTable]:
    """What three workers see."""
    LoadTable.create(tmp_path / "cores", 3)
    return [LoadTable.open(tmp_path / "cores", own, 3) for own in range(3)]


def test_who_has_work_is_not_asked(tables: list[LoadTable]) -> None:
    first, second, third = tables
    second.work(1)
    second.work(1)
    third.work(1)
    assert first.borrow(1) is None
    second.work(-1)
    assert first.borrow(1) is None
    second.work(-1)
    assert first.borrow(1) == 1


def test_own_work_does_not_keep_a_worker_from_asking(tables: list[LoadTable]) -> None:
    tables[0].work(1)
    assert tables[0].borrow(1) == 1


def test_chunks_go_to_whoever_has_been_given_the_least(tables: list[LoadTable]) -> None:
    assert [tables[0].borrow(9) for _ in range(5)] == [1, 2, 1, 2, 1]
    tables[0].give_back(2)
    tables[0].give_back(2)
    assert [tables[0].borrow(9) for _ in range(3)] == [2, 2, 2]


def test_nobody_is_given_more_than_two_chunks_or_what_is_answered_here(
    tables: list[LoadTable],
) -> None:
    first = tables[0]
    assert [first.borrow(1) for _ in range(5)] == [1, 2, 1, 2, None]
    assert [first.borrow(3) for _ in range(3)] == [1, 2, None]
    lent = [first.borrow(1000) for _ in range(100)]
    assert 0 < lent.count(1) == lent.count(2) < 50


def test_a_worker_helps_one_other(tables: list[LoadTable]) -> None:
    first, _, third = tables
    assert first.borrow(1) == 1
    assert third.borrow(1) == 0
    assert [first.borrow(2), third.borrow(2), third.borrow(2)] == [2, 0, None]


def test_an_answer_makes_room_for_the_next_chunk(tables: list[LoadTable]) -> None:
    first, second, third = tables
    third.work(1)
    assert [first.borrow(2), first.borrow(2), first.borrow(2)] == [1, 1, None]
    first.give_back(1)
    assert first.borrow(2) == 1
    first.give_back(1)
    first.give_back(1)
    second.work(1)
    assert first.borrow(2) is None


def test_what_a_killed_worker_left_ends_with_the_one_that_takes_its_place(tmp_path: Path) -> None:
    file = tmp_path / "cores"
    LoadTable.create(file, 3)
    other = LoadTable.open(file, 1, 3)
    with file.open("r+b") as left_behind:
        # It had work in two models, and had given chunks to both others.
        left_behind.write(bytes([2, 1, 2]))
    assert other.borrow(1) is None
    LoadTable.open(file, 0, 3)
    assert [other.borrow(1), other.borrow(1), other.borrow(1)] == [0, 2, 0]


def test_who_is_alone_has_nobody_to_ask() -> None:
    assert LoadTable.alone().borrow(1) is None
