"""The benchmark of training: every part is timed, and the table says what was found."""

from pathlib import Path

import pytest

from bench.training.measure import Contest
from bench.training.plot import draw
from bench.training.results import Results, Timing, markdown
from training.execution import Execution
from training.recipe import Recipe

TINY = {
    "name": "tiny",
    "epochs": 1,
    "batch_size": 4,
    "views": 2,
    "encoder": {"name": "dim32", "code_units": 4},
    "critic": {"units": 4},
    "augmentation": {},
}


def test_every_part_of_a_step_is_timed() -> None:
    contest = Contest(Recipe.model_validate(TINY), Execution(), "cpu")
    contest.warm_up()
    timing = contest.round(repetition=1, steps=2)
    assert (timing.recipe, timing.repetition, timing.images) == ("tiny", 1, 8)
    assert timing.bare > 0
    assert timing.step > 0
    assert timing.loader >= 0


def test_the_table_shows_medians_with_their_spread(tmp_path: Path) -> None:
    timings = [
        Timing("mine", number, images=100, bare=1.0, step=step, loader=0.1)
        for number, step in enumerate((1.25, 1.1, 2.0))
    ]
    assert timings[0].overhead == pytest.approx(0.25)
    results = Results({}, {}, timings)
    assert markdown(results).splitlines()[2] == (
        "| mine | 100 (100 to 100) | 80 (50 to 91) | 25.0% (10.0% to 100.0%) | 1,000 (1,000 to 1,000) |"
    )
    draw(results, tmp_path / "training.png")
    assert (tmp_path / "training.png").read_bytes().startswith(b"\x89PNG")
