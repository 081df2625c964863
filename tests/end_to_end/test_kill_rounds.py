"""The short form of `make kill-rounds`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.kill_rounds.kills import KILLS
from bench.kill_rounds.rounds import Rounds


@pytest.fixture
def rounds(tiny_models: Path, tmp_path: Path) -> Iterator[Rounds]:
    run = Rounds(tiny_models, tmp_path, seed=1)
    yield run
    run.close()


def test_nothing_acknowledged_is_lost_whatever_is_killed(rounds: Rounds) -> None:
    for kill in KILLS:
        before = rounds.expected.acknowledged
        assert rounds.run(kill) == []
        assert rounds.expected.acknowledged >= before
    assert rounds.expected.acknowledged > 0
    assert rounds.images > 0
