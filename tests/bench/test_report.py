"""What is made of measurements: limits, medians, JSON, tables."""

from pathlib import Path

import pytest

from bench.serving.limit import Limit
from bench.serving.plot import draw
from bench.serving.results import Measurement, Results, Spread, read
from bench.serving.rounds import IDLE, scenario, stream_scenario
from bench.serving.table import markdown

SMALL = scenario("small", 64)
STREAM = stream_scenario("small", "Arrow", 1)


def measured(contender: str, name: str, repetition: int, rate: float) -> Measurement:
    of_requests = name != STREAM
    return Measurement(
        contender=contender,
        scenario=name,
        repetition=repetition,
        rate=rate,
        p50_ms=10.0 if of_requests else None,
        p99_ms=20.0 if of_requests else None,
        errors=repetition,
        client_cores=0.125,
        server_cores=1.5,
        other_cores=0.01 * repetition,
        memory_mib=100.0,
    )


@pytest.fixture
def results() -> Results:
    return Results(
        machine={"cores": 2},
        model={"id": "tiny/1", "precision": "fp32"},
        options={"repetitions": 3},
        layouts={"infomax": "its defaults", "mosec": "two workers"},
        skipped={"BentoML": "it could not be installed"},
        limits=[Limit({"small": 3000.0}, 1500.0, 0.5, {"small": 5e-6}) for _ in range(3)],
        measurements=[
            measured(contender, name, repetition, rate + 10 * repetition)
            for repetition in range(3)
            for contender, rate in (("infomax", 490.0), ("mosec", 390.0))
            for name in (SMALL, IDLE)
        ]
        + [measured("infomax", STREAM, repetition, 900.0) for repetition in range(3)],
    )


def test_the_limit_is_one_image_after_the_other_through_both_stages() -> None:
    limit = Limit({"small": 3000.0, "large": 1e12}, 1500.0, 0.5, {})
    assert limit.rate("small") == pytest.approx(1000.0)
    assert limit.rate("large") == pytest.approx(1500.0)


def test_a_spread_does_not_depend_on_the_order() -> None:
    assert Spread.of([3.0, 1.0, 2.0]) == Spread.of([1.0, 2.0, 3.0]) == Spread(2.0, 1.0, 3.0)


def test_results_come_back_from_json_as_they_were(results: Results, tmp_path: Path) -> None:
    path = tmp_path / "new" / "results.json"
    results.write(path)
    assert read(path) == results


def test_a_table_shows_medians_spreads_the_share_of_the_limit_and_every_error(results: Results) -> None:
    rows = {line.split(" | ")[0].strip("|* "): line for line in markdown(results).splitlines()}
    assert "| **infomax** | 500 (490 to 510) | 50% | 10 (10 to 10) | 20 (20 to 20) | 3 |" in markdown(results)
    assert "| mosec | 400 (390 to 410) | 40% |" in markdown(results)
    assert rows["small"].endswith("| 1,000 (1,000 to 1,000) | 5.0 (5.0 to 5.0) |")
    assert rows[STREAM].startswith(f"| {STREAM} | 900 (900 to 900) | 90% | 3 | 1,667 | 1.50 | 0.12 | 100 |")


def test_a_table_names_the_skipped_servers_and_the_reasons(results: Results) -> None:
    assert "- BentoML: it could not be installed" in markdown(results)
    results.skipped.clear()
    assert "Not measured" not in markdown(results)


def test_a_table_states_the_load_of_other_programs(results: Results) -> None:
    assert "up to 0.02 cores" in markdown(results)


def test_idle_latency_is_shown_as_the_time_that_the_server_adds(results: Results) -> None:
    assert "| **infomax** | 10.00 (10.00 to 10.00) | 9.50 |" in markdown(results)


def test_the_picture_is_a_png(results: Results, tmp_path: Path) -> None:
    draw(results, tmp_path / "rates.png")
    assert (tmp_path / "rates.png").read_bytes().startswith(b"\x89PNG\r\n")
