"""`infomax measure`: figures of a run and of a model, what it refuses, and what a signal leaves."""

import json
import signal
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from contract.preprocessing import Preprocessing
from tests.training.command import Answer, Infomax
from training.data import load
from training.evaluation.effective_rank import effective_rank
from training.evaluation.encoding import encode
from training.evaluation.measures import MEASURES, Figure, MeasureInputs
from training.evaluation.measures.fitting import FitSchedule
from training.loop.trained import load_run


def measure(infomax: Infomax, inputs: tuple[object, ...], train: Path, test: Path) -> Answer:
    return infomax("measure", *inputs, "--train", train, "--test", test)


def test_a_models_measures_are_printed_and_written(
    infomax: Infomax,
    tiny_models: Path,
    sample_train: Path,
    sample_test: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Whether figures are right is tested for each measure by itself.
    monkeypatch.setattr(FitSchedule, "epochs_of", lambda *_: 1)
    file = tmp_path / "measures.json"
    inputs = ("--model", tiny_models / "tiny" / "1", "--json", file)
    answer = measure(infomax, inputs, sample_train, sample_test)
    assert answer.status == 0, answer.err
    head, *lines = (line.split("\t") for line in answer.out.splitlines()[:-1])
    assert head == ["measure", "figure", "value", "unit", "chance", "limit", "images"]
    assert list(dict.fromkeys(line[0] for line in lines)) == list(MEASURES)
    assert answer.out.endswith(
        "Fitted and chosen on all 300 training images, measured on all 100 held-out ones, drawn by seed 0; "
        "the last column says where fewer were looked at.\n"
    )
    record = json.loads(file.read_text())
    assert record["subject"] == "tiny/1"
    assert record["unfinished"] == []
    assert [f"{one['value']:.4f}" for one in record["figures"]] == [line[2] for line in lines]
    for one in record["figures"]:
        assert one["limit"] is None or one["value"] <= one["limit"], one


def test_a_run_is_measured_by_its_own_encoder(
    infomax: Infomax, finished_run: Path, sample_train: Path, sample_test: Path
) -> None:
    answer = measure(infomax, ("--run", finished_run, "--only", "spread"), sample_train, sample_test)
    assert answer.status == 0, answer.err
    encoder = load_run(finished_run).encoder
    code = encode(
        encoder, torch.from_numpy(load(sample_test, Preprocessing(height=32, width=32)).pixels[:])
    ).code
    _, rank, dead, _ = (line.split("\t") for line in answer.out.splitlines())
    assert float(rank[2]) == pytest.approx(effective_rank(code), abs=1e-3)
    assert dead[1] == "dead dimensions of the code"


def test_a_signal_keeps_what_is_finished(
    infomax: Infomax,
    tiny_models: Path,
    sample_train: Path,
    sample_test: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spread = MEASURES["spread"]

    def stopped_meanwhile(inputs: MeasureInputs) -> list[Figure]:
        signal.raise_signal(signal.SIGTERM)
        return spread(inputs)

    monkeypatch.setitem(MEASURES, "spread", stopped_meanwhile)
    file = tmp_path / "measures.json"
    inputs = ("--model", tiny_models / "tiny" / "1", "--json", file, "--only", "ndm", "--only", "spread")
    answer = measure(infomax, inputs, sample_train, sample_test)
    assert answer.status == 75
    assert "effective rank of the code" in answer.out
    assert answer.out.endswith("Stopped by a signal; make the rest with the same command and --only ndm.\n")
    record = json.loads(file.read_text())
    assert {one["measure"] for one in record["figures"]} == {"spread"}
    assert record["unfinished"] == ["ndm"]


def test_what_is_refused_is_refused_before_any_image_is_decoded(
    infomax: Infomax, tiny_models: Path, sample_train: Path, sample_test: Path, tmp_path: Path
) -> None:
    model = ("--model", tiny_models / "tiny" / "1")
    unknown = measure(infomax, (*model, "--only", "mice"), sample_train, sample_test)
    assert unknown.sentence == (
        "There is no measure 'mice'; choose one of spread, ndm, mine, decoder, occlusion, coordinates."
    )
    nowhere = measure(infomax, (*model, "--json", tmp_path / "no" / "f.json"), sample_train, sample_test)
    assert nowhere.sentence == f"There is no folder {tmp_path / 'no'} to write the figures into."
    assert "decoding" not in unknown.err + nowhere.err


def test_too_few_images_are_counted(
    infomax: Infomax, tiny_models: Path, sample_train: Path, sample_test: Path, tmp_path: Path
) -> None:
    few = tmp_path / "few.parquet"
    pq.write_table(pq.read_table(sample_train).slice(0, 20), few)
    model = ("--model", tiny_models / "tiny" / "1")
    answer = measure(infomax, model, few, sample_test)
    assert answer.sentence == "There are 20 training images; measures need at least 64, so name more."


def test_neither_or_both_subjects_are_a_wrong_call(
    infomax: Infomax, sample_train: Path, sample_test: Path, tmp_path: Path
) -> None:
    for inputs in ((), ("--run", tmp_path, "--model", tmp_path)):
        answer = measure(infomax, inputs, sample_train, sample_test)
        assert answer.status == 2
        assert "either --run or --model" in answer.err
