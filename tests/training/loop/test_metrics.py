"""What a run writes about itself, and that a resumed run writes it once."""

from pathlib import Path

import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from training.loop import run_log
from training.loop.metrics import MetricsLog, read_points
from training.loop.run_log import RunLog


def size(picture: Path) -> tuple[int, int]:
    with Image.open(picture) as image:
        return image.size


def test_values_are_on_disk_as_soon_as_they_are_written(tmp_path: Path) -> None:
    with MetricsLog(tmp_path, 0) as log:
        log.write(10, {"loss": 2.5})
        assert read_points(tmp_path) == [{"step": 10, "loss": 2.5}]
        log.write(20, {"loss": 1.5, "rank": 3.0})
        assert read_points(tmp_path)[1] == {"step": 20, "loss": 1.5, "rank": 3.0}


def test_tensorboard_reads_the_same_values(tmp_path: Path) -> None:
    with MetricsLog(tmp_path, 0) as log:
        log.write(10, {"loss": 2.5})
        log.write(20, {"loss": 1.5})
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(10, 2.5), (20, 1.5)]


def test_points_behind_the_checkpoint_are_dropped_and_taken_again(tmp_path: Path) -> None:
    with MetricsLog(tmp_path, 0) as log:
        for step in (10, 20, 30):
            log.write(step, {"loss": float(step)})
    with MetricsLog(tmp_path, 20) as log:
        log.write(30, {"loss": -30.0})
    assert read_points(tmp_path) == [
        {"step": 10, "loss": 10.0},
        {"step": 20, "loss": 20.0},
        {"step": 30, "loss": -30.0},
    ]


def test_a_line_cut_short_by_a_crash_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 10, "loss": 1.0}\n{"step": 20, "lo')
    assert read_points(tmp_path) == [{"step": 10, "loss": 1.0}]
    with MetricsLog(tmp_path, 10) as log:
        log.write(20, {"loss": 2.0})
    assert [point["step"] for point in read_points(tmp_path)] == [10, 20]


def test_curves_show_a_panel_for_each_metric(tmp_path: Path) -> None:
    with MetricsLog(tmp_path, 0) as log:
        log.draw()
        assert not (tmp_path / "curves.png").exists()
        log.write(10, {"epoch": 0.5, "loss": 2.5})
        log.draw()
        one = size(tmp_path / "curves.png")
        log.write(20, {"loss": 1.5, "rank": 3.0, "nats": 1.0, "rate": 0.1})
        log.draw()
        four = size(tmp_path / "curves.png")
    assert four[0] == one[0]
    assert four[1] == 2 * one[1]


@pytest.mark.parametrize(("seconds", "drawn"), [(0, [True, True]), (1e9, [False, True])])
def test_curves_are_drawn_now_and_then_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, drawn: list[bool]
) -> None:
    monkeypatch.setattr(run_log, "_SECONDS_BETWEEN_DRAWINGS", seconds)
    curves, found = tmp_path / "curves.png", []
    with RunLog(tmp_path, 0, total_steps=2, steps_per_epoch=1, work_done=float) as record:
        for step in (1, 2):
            record.measured(step, {"rank": 3.0})
            found.append(curves.exists())
    assert found == drawn
