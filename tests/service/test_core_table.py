"""Who has time for whom."""

from pathlib import Path

import pytest

from service.core_table import CoreTable


@pytest.fixture
def tables(tmp_path: Path) -> list[CoreTable]:
    """What three workers see."""
    CoreTable.create(tmp_path / "cores", 3)
    return [CoreTable.open(tmp_path / "cores", own, 3) for own in range(3)]


def test_who_has_work_is_not_asked(tables: list[CoreTable]) -> None:
    first, second, third = tables
    second.work(1)
    second.work(1)
    third.work(1)
    assert first.borrow() is None
    second.work(-1)
    assert first.borrow() is None
    second.work(-1)
    assert first.borrow() == 1


def test_own_work_does_not_keep_a_worker_from_asking(tables: list[CoreTable]) -> None:
    tables[0].work(1)
    assert tables[0].borrow() == 1


def test_a_worker_is_given_two_chunks_at_a_time_and_helps_one_other(tables: list[CoreTable]) -> None:
    first, _, third = tables
    assert [first.borrow(), first.borrow()] == [1, 1]
    assert third.borrow() == 0
    assert [first.borrow(), third.borrow(), third.borrow()] == [2, 0, None]


def test_an_answer_makes_room_for_the_next_chunk(tables: list[CoreTable]) -> None:
    first, second, third = tables
    third.work(1)
    assert [first.borrow(), first.borrow(), first.borrow()] == [1, 1, None]
    first.give_back(1)
    assert first.borrow() == 1
    first.give_back(1)
    first.give_back(1)
    second.work(1)
    assert first.borrow() is None


def test_what_a_killed_worker_left_ends_with_the_one_that_takes_its_place(tmp_path: Path) -> None:
    file = tmp_path / "cores"
    CoreTable.create(file, 3)
    other = CoreTable.open(file, 1, 3)
    with file.open("r+b") as left_behind:
        # It had work in two models, and had given chunks to both others.
        left_behind.write(bytes([2, 1, 2]))
    assert other.borrow() is None
    CoreTable.open(file, 0, 3)
    assert [other.borrow(), other.borrow(), other.borrow()] == [0, 0, 2]


def test_who_is_alone_has_nobody_to_ask() -> None:
    assert CoreTable.alone().borrow() is None
