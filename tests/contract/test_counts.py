"""Counts with their noun."""

import pytest

from contract.counts import counted


@pytest.mark.parametrize(
    ("count", "form", "words"),
    [
        (1, ",", "1 epoch"),
        (0, ",", "0 epochs"),
        (2000, ",", "2,000 epochs"),
        (1.0, ".3g", "1 epoch"),
        (1.04, ".3g", "1.04 epochs"),
        (0.6, ".0f", "1 epoch"),
    ],
)
def test_a_noun_is_plural_unless_the_number_reads_one(count: float, form: str, words: str) -> None:
    assert counted(count, "epoch", form) == words
