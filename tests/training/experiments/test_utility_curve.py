"""Reading a curve: points, words, picture and file."""

from pathlib import Path

import pytest
from PIL import Image

from training.errors import TrainingError
from training.experiments.utility import (
    FILE,
    ClassifierSchedule,
    CurveSubject,
    MeanAndDeviation,
    UtilityCell,
    UtilityCurve,
    draw,
    load,
    save,
    sentence,
    show,
)
from training.experiments.utility.cells import METHODS
from training.experiments.utility.equivalent import Equivalent
from training.recipe import ViewRecipe

# accuracy by number of labels: seeds 0 and 1 of the linear probe, fine-tuning and from scratch
ACCURACIES = {
    10: ((0.35, 0.45), (0.55, 0.65), (0.2, 0.2)),
    100: ((0.5, 0.5), (0.7, 0.9), (0.4, 0.4)),
    1000: ((0.5, 0.5), (0.6, 0.6), (0.6, 0.6)),
}
SUBJECT = CurveSubject(
    encoder="e",
    layer="fc",
    training="a",
    test="b",
    training_images=1000,
    test_images=200,
    classes=5,
    schedule=ClassifierSchedule(views=ViewRecipe()),
)


def all_cells() -> list[UtilityCell]:
    return [
        UtilityCell(labels=labels, seed=seed, method=method, accuracy=values[seed])
        for labels, by_method in ACCURACIES.items()
        for method, values in zip(METHODS, by_method, strict=True)
        for seed in (0, 1)
    ]


@pytest.fixture
def curve() -> UtilityCurve:
    curve = UtilityCurve(subject=SUBJECT)
    for cell in reversed(all_cells()):
        curve = curve.with_cell(cell)
    return curve


def test_a_point_has_mean_deviation_and_worth(curve: UtilityCurve) -> None:
    few, some, most = curve.points
    assert few.accuracy["linear"].mean == pytest.approx(0.4)
    assert few.accuracy["linear"].deviation == pytest.approx(0.05 * 2**0.5)
    # From scratch 100 labels give 0.4, and 1,000 give 0.6.
    assert few.worth["linear"].utility == pytest.approx(100 / 10 - 1)
    assert few.worth["fine_tuned"].equivalent == Equivalent(labels=1000)
    # Seed 0 is a quarter below 0.4, seed 1 a quarter above it; each on the straight line over log n.
    assert [one.labels for one in few.worth["linear"].by_seed] == pytest.approx(
        [10 * 10**0.75, 100 * 10**0.25]
    )
    assert some.worth["fine_tuned"].equivalent.bound == "more than"
    assert some.worth["fine_tuned"].utility == pytest.approx(9)
    assert most.worth["linear"].utility == pytest.approx(10**-0.5 - 1)


def test_points_are_of_complete_seeds_only(curve: UtilityCurve, capsys: pytest.CaptureFixture[str]) -> None:
    incomplete = UtilityCurve(
        subject=SUBJECT,
        cells=tuple(
            cell
            for cell in curve.cells
            if (cell.labels, cell.seed, cell.method) not in {(100, 1, "scratch"), (1000, 0, "linear")}
        ),
    )
    assert [point.labels for point in incomplete.points] == [10, 100]
    assert all(len(point.worth["linear"].by_seed) == 1 for point in incomplete.points)
    assert incomplete.points[1].accuracy["fine_tuned"] == MeanAndDeviation(mean=0.7, deviation=None)
    show(incomplete)
    assert "\t70.0 %\t" in capsys.readouterr().out
    assert UtilityCurve(subject=SUBJECT).points == ()


def test_the_table_and_the_sentence(curve: UtilityCurve, capsys: pytest.CaptureFixture[str]) -> None:
    show(curve)
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == [
        "labels",
        "linear probe",
        "fine-tuned",
        "from scratch",
        "U linear probe",
        "U fine-tuned",
    ]
    assert lines[1][:4] == ["10", "40.0 ± 7.1 %", "60.0 ± 7.1 %", "20.0 ± 0.0 %"]
    assert lines[1][4] == "9.00 (4.62 to 16.78)"
    assert lines[1][5] == "99.00 (55.23 to > 99.00)"
    assert lines[2][5] == "> 9.00 (> 9.00 to > 9.00)"
    assert lines[3][4:] == ["-0.68 (-0.68 to -0.68)", "0.00 (0.00 to 0.00)"]
    assert sentence(curve) == (
        "With 10 labels pretraining is worth 10.0 times as many labels with a linear probe "
        "and 100.0 times as many labels with fine-tuning."
    )


@pytest.mark.parametrize(
    ("accuracy", "words"), [(0.9, "more than 100.0 times as many"), (0.1, "less than 1.0 times as many")]
)
def test_a_bound_is_said_as_such(curve: UtilityCurve, accuracy: float, words: str) -> None:
    cells = tuple(
        cell.model_copy(update={"accuracy": accuracy})
        if cell.labels == 10 and cell.method == "linear"
        else cell
        for cell in curve.cells
    )
    changed = UtilityCurve(subject=SUBJECT, cells=cells)
    assert f"With 10 labels pretraining is worth {words} labels with a linear probe and" in sentence(changed)


def test_the_file_holds_the_curve_and_its_points(curve: UtilityCurve, tmp_path: Path) -> None:
    assert load(tmp_path) is None
    save(tmp_path, curve)
    assert load(tmp_path) == curve
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    assert '"utility": 9.0' in (tmp_path / FILE).read_text()


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"subject": ')
    with pytest.raises(TrainingError, match=r"utility\.json cannot be read .*; remove it and measure again"):
        load(tmp_path)


def test_the_picture_is_drawn(curve: UtilityCurve, tmp_path: Path) -> None:
    draw(curve, tmp_path / "whole.png")
    with Image.open(tmp_path / "whole.png") as image:
        assert image.size == (1100, 440)
    with pytest.raises(ValueError, match="no number of labels is complete"):
        draw(UtilityCurve(subject=SUBJECT), tmp_path / "empty.png")
    assert not (tmp_path / "empty.png").exists()
