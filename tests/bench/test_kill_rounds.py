"""What the rounds of kills count as lost."""

from bench.kill_rounds import Expected


def test_an_acknowledged_change_has_to_be_there() -> None:
    expected = Expected()
    expected.begin("a", 1)
    expected.acknowledge("a", 1)
    assert expected.contradictions({"a": 1}) == []
    assert expected.contradictions({}) == ["a: None, allowed [1]"]
    assert expected.contradictions({"a": 2}) == ["a: 2, allowed [1]"]


def test_a_change_under_way_may_be_there_or_not_until_it_was_seen() -> None:
    expected = Expected()
    expected.begin("a", 1)
    expected.acknowledge("a", 1)
    expected.begin("a", None)
    expected.begin("b", 2)
    for stored in ({"a": 1}, {}, {"b": 2}, {"a": 1, "b": 2}):
        assert expected.contradictions(stored) == []
    assert expected.contradictions({"a": 2}) != []
    expected.settle({"b": 2})
    assert expected.contradictions({"b": 2}) == []
    assert len(expected.contradictions({"a": 1})) == 2


def test_an_acknowledged_removal_stays_and_strangers_are_noticed() -> None:
    expected = Expected()
    expected.begin("a", 1)
    expected.acknowledge("a", 1)
    expected.acknowledge("a", None)
    assert expected.contradictions({}) == []
    assert len(expected.contradictions({"a": 1, "stranger": 3})) == 2
