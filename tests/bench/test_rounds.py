"""One short round against the real service."""

from pathlib import Path

import pytest

from bench.serving import images
from bench.serving.contenders import contenders
from bench.serving.model import BenchModel, open_model
from bench.serving.results import Results
from bench.serving.rounds import IDLE, Options, Rounds, scenario, stream_scenario
from bench.serving.running import ServerError, running
from contract.preprocessing import Preprocessing

OPTIONS = Options(
    repetitions=1,
    seconds=1,
    short_seconds=0.2,
    connections=4,
    stream_images=24,
    stream_clients=(2,),
    forms=("Arrow",),
)


def test_a_round_measures_the_limit_and_every_scenario_of_our_service(
    tiny_models: Path, tmp_path: Path
) -> None:
    model = open_model(tiny_models, "tiny", "fp32")
    results = Results({}, {}, {}, {}, {"mosec": "not here"})
    rounds = Rounds(model, (images.small(),), OPTIONS, results)
    servers = contenders(model, tmp_path)[:2]
    told: list[str] = []
    rounds.run(servers, told.append)
    assert told == ["the limit", "infomax", "mosec"]
    assert len(told) == rounds.steps(servers)
    assert results.skipped == {"mosec": "not here"}
    assert results.scenarios() == [scenario("small", 4), IDLE, stream_scenario("small", "Arrow", 2)]
    for one in results.measurements:
        assert one.rate > 0
        assert one.errors == 0
        assert one.server_cores > 0
        assert one.other_cores >= 0
    assert results.limit("small").median > 0


def test_a_server_that_does_not_start_is_named_with_its_last_line(tmp_path: Path) -> None:
    model = BenchModel(tmp_path / "tiny" / "1", "tiny/1", "fp32", Preprocessing(height=32, width=32))
    ours = contenders(model, tmp_path)[0]
    reason = "it ended with status 1; .*holds no model tiny/1"
    with pytest.raises(ServerError, match=reason), running(ours, model, b""):
        pass
