"""Progress: how long it still takes, as an estimate that settles."""

import re

import pytest

from contract import progress
from contract.progress import Progress


class Clock:
    """Time that passes where a test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0.0)
    return clock


def seconds(line: str) -> float:
    number, unit = re.findall(r"about ([\d.]+) (s|min|h) left", line)[0]
    return float(number) * {"s": 1, "min": 60, "h": 3600}[unit]


def test_the_estimate_is_right_from_the_second_step_on_and_ignores_a_slow_first_one(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with Progress("training") as shown:
        clock.now += 60
        for step in range(1, 51):
            shown.update(step, 50, "loss 1")
            clock.now += 10
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "training: 1/50 loss 1"
    for step, line in enumerate(lines[1:-1], start=2):
        assert seconds(line) == pytest.approx(10 * (50 - step), rel=0.08, abs=1)
    assert lines[-1] == "training: 50/50 loss 1"


def test_a_noisy_pace_makes_an_estimate_that_settles(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with Progress("training") as shown:
        for step in range(1, 201):
            shown.update(step, 200)
            clock.now += 1 if step % 2 else 9
    lines = capsys.readouterr().err.splitlines()
    for step, line in enumerate(lines[20:-1], start=21):
        assert seconds(line) == pytest.approx(5 * (200 - step), rel=0.12, abs=5)


def test_work_counts_where_steps_do_not_cost_the_same(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    """As with small views: the first half of the steps is a fifth of the work."""

    def share(step: int) -> float:
        return min(step, 50) * 0.2 / 50 + max(0, step - 50) * 0.8 / 50

    with Progress("training") as shown:
        for step in range(1, 101):
            shown.update(step, 100, share=share(step))
            clock.now += 1_000 * (share(step + 1) - share(step))
    for step, line in enumerate(capsys.readouterr().err.splitlines()[1:-1], start=2):
        assert seconds(line) == pytest.approx(1_000 * (1 - share(step)), rel=0.08, abs=1)
