"""`infomax probe`: the figures of a run and of a model, and a card that does not tell the truth."""

import json
import shutil
from pathlib import Path

import onnx
import pyarrow.parquet as pq
import pytest
from onnx import helper

from contract.artefact import open_artefact
from contract.card import METADATA_KEY
from tests.training.command import Answer, Infomax


def probe(infomax: Infomax, subject: tuple[object, ...], train: Path, test: Path) -> Answer:
    return infomax("probe", *subject, "--train", train, "--test", test)


def test_a_model_agrees_with_its_own_card(
    infomax: Infomax, exported_model: Path, sample_train: Path, sample_test: Path, tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    answer = probe(infomax, ("--model", exported_model, "--json", report), sample_train, sample_test)
    assert answer.status == 0, answer.out
    assert "All figures agree with the card of sample/1." in answer.out
    card = open_artefact(exported_model).card
    record = json.loads(report.read_text())
    assert record["subject"] == "sample/1"
    assert record["quality"]["scores"] == json.loads(card.quality.model_dump_json())["scores"]
    assert record["calibration"]["mi_nats"] == pytest.approx(card.calibration.mi_nats, abs=1e-6)
    # The independent bank was drawn again, not another one.
    assert record["calibration"]["bank_error_nats"] == pytest.approx(
        card.calibration.bank_error_nats, abs=1e-6
    )
    assert {one["figure"] for one in record["comparisons"]} >= {"linear conv", "knn embedding", "mi_nats"}


def test_a_run_has_the_figures_of_the_model_that_is_made_of_it(
    infomax: Infomax,
    finished_run: Path,
    exported_model: Path,
    sample_train: Path,
    sample_test: Path,
    tmp_path: Path,
) -> None:
    report = tmp_path / "report.json"
    answer = probe(infomax, ("--run", finished_run, "--json", report), sample_train, sample_test)
    assert answer.status == 0
    lines = [line.split("\t") for line in answer.out.splitlines()]
    assert lines[0] == ["figure", "measured"]
    scores = open_artefact(exported_model).card.quality.scores
    for (name, accuracy), score in zip(lines[1 : len(scores) + 1], scores, strict=True):
        assert name == f"{score.probe} {score.layer}"
        assert float(accuracy) == pytest.approx(score.accuracy, abs=0.011)
    assert "10.00%" in answer.out
    assert json.loads(report.read_text())["calibration"] is None


def test_a_card_that_says_more_than_is_true_is_found_out(
    infomax: Infomax, exported_model: Path, sample_train: Path, sample_test: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "sample" / "1"
    shutil.copytree(exported_model, folder)
    card = open_artefact(folder).card
    first, *rest = card.quality.scores
    boasting = first.model_copy(update={"accuracy": first.accuracy + 0.02})
    card = card.model_copy(update={"quality": card.quality.model_copy(update={"scores": (boasting, *rest)})})
    (folder / "card.json").write_text(card.to_json())
    for name in ("encoder.onnx", "critic.onnx"):
        graph = onnx.load(folder / name)
        helper.set_model_props(graph, {METADATA_KEY: card.to_json()})
        onnx.save(graph, folder / name)
    answer = probe(infomax, ("--model", folder), sample_train, sample_test)
    assert answer.status == 1
    assert "NOT what the card of sample/1 says: linear conv." in answer.out


def test_other_images_are_measured_and_not_compared(
    infomax: Infomax, exported_model: Path, sample_train: Path, sample_test: Path, tmp_path: Path
) -> None:
    """A model on images of one's own, and fewer of them than its own bank holds."""
    few, fewer = tmp_path / "train.parquet", tmp_path / "test.parquet"
    pq.write_table(pq.read_table(sample_train).slice(0, 60), few)
    pq.write_table(pq.read_table(sample_test).slice(0, 20), fewer)
    answer = probe(infomax, ("--model", exported_model), few, fewer)
    assert answer.status == 0
    assert "linear conv" in answer.out
    assert "mi_nats" in answer.out
    assert answer.out.endswith("The card of sample/1 is of other images; nothing was compared with it.\n")


def test_missing_labels_are_named_before_any_image_is_decoded(
    infomax: Infomax, finished_run: Path, sample_train: Path, sample_test: Path, tmp_path: Path
) -> None:
    unlabelled = tmp_path / "unlabelled.parquet"
    pq.write_table(pq.read_table(sample_test).drop_columns(["label"]), unlabelled)
    answer = probe(infomax, ("--run", finished_run), sample_train, unlabelled)
    assert answer.sentence.startswith("The test images have no labels, which a probe needs")
    assert "decoding" not in answer.err


def test_a_folder_that_is_no_model_and_one_that_is_no_run(
    infomax: Infomax, sample_train: Path, sample_test: Path, tmp_path: Path
) -> None:
    assert "has no card.json" in probe(infomax, ("--model", tmp_path), sample_train, sample_test).sentence
    assert "has no checkpoint.pt" in probe(infomax, ("--run", tmp_path), sample_train, sample_test).sentence


def test_neither_or_both_subjects_are_a_wrong_call(
    infomax: Infomax, sample_train: Path, sample_test: Path, tmp_path: Path
) -> None:
    for subject in ((), ("--run", tmp_path, "--model", tmp_path)):
        answer = probe(infomax, subject, sample_train, sample_test)
        assert answer.status == 2
        assert "either --run or --model" in answer.err
