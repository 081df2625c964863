"""The journal of an upload lets the next run go on, and only over the same items."""

from pathlib import Path

import pytest

from infomax.client import JournalError, UploadItem
from infomax.client.journal import Journal


def items(*ids: str) -> list[UploadItem]:
    return [UploadItem(one, vector=[1.0]) for one in ids]


def test_a_second_run_goes_on_behind_what_is_settled(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    first = Journal(path)
    assert [one.id for one in first.skip(items("a", "b", "c"))] == ["a", "b", "c"]
    first.settle(["a"])
    first.settle(["b"])
    second = Journal(path)
    assert second.settled == 2
    assert [one.id for one in second.skip(items("a", "b", "c"))] == ["c"]
    second.settle(["c"])
    assert [*Journal(path).skip(items("a", "b", "c", "d"))] == items("d")


@pytest.mark.parametrize(
    ("ids", "says"), [(("a",), "has 1 items and the journal 2"), (("b", "a"), "ids"), (("ab", ""), "ids")]
)
def test_another_upload_is_refused(ids: tuple[str, ...], says: str, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    Journal(path).settle(["a", "b"])
    with pytest.raises(JournalError, match=says):
        Journal(path).skip(items(*ids))


def test_another_file_is_not_taken_for_a_journal_and_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_text("[1]")
    with pytest.raises(JournalError, match="cannot be read"):
        Journal(path)
    assert path.read_text() == "[1]"


def test_an_item_is_an_image_or_a_vector() -> None:
    with pytest.raises(ValueError, match="one of an image and a vector"):
        UploadItem("a")
