"""Who may compute on whose core."""

from pathlib import Path

import pytest

from service.core_table import CoreTable


@pytest.fixture
def tables(tmp_path: Path) -> list[CoreTable]:
    """What three workers see."""
    file = tmp_path / "cores"
    CoreTable.create(file, 3)
    return [CoreTable.open(file, own, 3) for own in range(3)]


def test_a_core_is_borrowed_while_its_worker_rests(tables: list[CoreTable]) -> None:
    first, second, _ = tables
    with second.working():
        assert first.borrow() == 2
        assert first.borrow() is None
        assert not first.spare()
    assert first.spare()
    assert first.borrow() == 1


def test_nobody_borrows_what_is_lent(tables: list[CoreTable]) -> None:
    first, _, third = tables
    core = first.borrow()
    assert core == 1
    assert third.borrow() == 0
    assert third.borrow() is None
    first.give_back(core)
    assert third.borrow() == 1


def test_a_worker_works_while_one_of_its_threads_does(tables: list[CoreTable]) -> None:
    first, second, third = tables
    with third.working():
        with third.working():
            pass
        assert first.borrow() == 1
        assert second.borrow() == 0
        assert first.borrow() is None


def test_what_a_killed_worker_left_ends_with_the_one_that_takes_its_place(tmp_path: Path) -> None:
    file = tmp_path / "cores"
    CoreTable.create(file, 3)
    other = CoreTable.open(file, 1, 3)
    with file.open("r+b") as left_behind:
        # It worked in two threads, and on both of the others' cores.
        left_behind.write(bytes([2, 1, 1]))
    assert not other.spare()
    CoreTable.open(file, 0, 3)
    assert [other.borrow(), other.borrow(), other.borrow()] == [0, 2, None]


def test_who_is_alone_has_nothing_to_borrow() -> None:
    alone = CoreTable.alone()
    with alone.working():
        assert (alone.others, alone.spare(), alone.borrow()) == (0, False, None)
