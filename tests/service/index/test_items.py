"""What may be an item's id, metadata or vector."""

import pytest

from service.errors import ServiceError
from service.index.items import (
    MAX_ID_BYTES,
    MAX_METADATA_BYTES,
    MAX_METADATA_DEPTH,
    check_id,
    check_object,
)


def nested(levels: int) -> dict[str, object]:
    value: dict[str, object] = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


@pytest.mark.parametrize("value", ["a", "cats/1.jpg", "x" * MAX_ID_BYTES, "Grüße 猫", "..a", "/a", "{}?#%"])
def test_ids_may_be_any_text_and_look_like_paths(value: str) -> None:
    assert check_id(value) == value


@pytest.mark.parametrize(
    "value",
    ["", None, 7, "x" * (MAX_ID_BYTES + 1), "猫" * 200, "a\nb", "a\0", "\ud800", "./a", "a/../b", "."],
)
def test_other_ids_are_refused_by_code(value: object) -> None:
    with pytest.raises(ServiceError) as refusal:
        check_id(value)
    assert (refusal.value.status, refusal.value.code) == (422, "invalid_id")


def test_metadata_may_be_as_large_and_as_deep_as_stated() -> None:
    frame = len(b'{"a":""}')
    for value in ({}, {"a": "x" * (MAX_METADATA_BYTES - frame)}, nested(MAX_METADATA_DEPTH)):
        assert check_object(value) == value


@pytest.mark.parametrize(
    ("value", "limit"),
    [
        ({"a": "x" * MAX_METADATA_BYTES}, MAX_METADATA_BYTES),
        (nested(MAX_METADATA_DEPTH + 1), MAX_METADATA_DEPTH),
        (nested(100_000), MAX_METADATA_DEPTH),
        ({"a": [[[["\0"]]]]}, None),
        (["a"], None),
        ("a", None),
        ({"a": object()}, None),
    ],
)
def test_other_metadata_is_refused_with_its_limit(value: object, limit: int | None) -> None:
    with pytest.raises(ServiceError) as refusal:
        check_object(value)
    assert (refusal.value.status, refusal.value.code) == (422, "invalid_metadata")
    assert refusal.value.limit == limit


@pytest.mark.parametrize("value", [{"a": 2**64}, {"a": [{"b": -(2**63) - 1}]}])
def test_an_integer_of_more_than_64_bits_is_refused_by_name(value: object) -> None:
    with pytest.raises(ServiceError, match="an integer of more than 64 bits") as refusal:
        check_object(value)
    assert refusal.value.code == "invalid_metadata"


def test_a_filter_is_refused_under_its_own_code() -> None:
    with pytest.raises(ServiceError) as refusal:
        check_object([1], "filter")
    assert refusal.value.code == "invalid_filter"
