"""JSON of clients: marks before it, numbers in it."""

import json

import orjson
import pytest

from service.inputs.json_text import read_json, shown


@pytest.mark.parametrize("text", [b'{"k": 3}', b'\xef\xbb\xbf{"k": 3}', '{"k": 3}'])
def test_a_byte_order_mark_is_skipped(text: bytes | str) -> None:
    assert read_json(text) == {"k": 3}


@pytest.mark.parametrize(
    "text", [b"", b"{", b"NaN", b"[Infinity]", b"1e999", b"\xff\xfe{\0}\0", b"\xef\xbb\xbf"]
)
def test_what_is_not_json_is_a_value_error(text: bytes) -> None:
    with pytest.raises(ValueError, match="line 1"):
        read_json(text)


@pytest.mark.parametrize(
    "value",
    [
        {"a": 2**64},
        {"a": -(2**63) - 1},
        {"metadata": {"deep": [{"a": [1, "x", 10**30]}]}},
        {"a": [1, 2**70, 2]},
    ],
)
def test_integers_of_any_length_stay_integers(value: dict[str, object]) -> None:
    assert read_json(json.dumps(value)) == value
    with pytest.raises(TypeError):
        orjson.dumps(read_json(json.dumps(value)))


@pytest.mark.parametrize("value", [{"a": 6.02e23}, {"a": 2**64 - 1}, {"a": -(2**63)}, {"a": [1e300, 0.1]}])
def test_large_floats_and_integers_of_64_bits_are_as_they_were(value: dict[str, object]) -> None:
    assert read_json(orjson.dumps(value)) == value
    assert orjson.loads(orjson.dumps(read_json(orjson.dumps(value)))) == value


def test_objects_too_deep_for_the_interpreter_are_still_read() -> None:
    depth = 900
    text = b'{"a": 1e30, "b": ' + b"[" * depth + b"1e30" + b"]" * depth + b"}"
    assert read_json(text)["a"] == 1e30


def test_a_message_shows_json_and_not_all_of_it() -> None:
    assert shown(True) == "true"
    assert shown(None) == "null"
    assert shown({"a": "ü"}) == '{"a":"ü"}'
    assert shown(10**30) == str(10**30)
    assert len(shown("x" * 1000)) < 70
