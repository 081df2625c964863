"""Checks of `infomax doctor`."""

import socket
from pathlib import Path

import psycopg
import pytest

from service.cli import doctor
from service.cli.doctor import CheckResult, Severity
from service.index.embedded import EmbeddedPostgres
from service.quotas.api_keys import new_key, table_of
from service.system import gpu
from tests.service.faults import settings


def results(models: Path, **changes: object) -> dict[str, CheckResult]:
    return {result.subject: result for result in doctor.examine(settings(models, **changes))}


def test_a_good_machine_passes(tiny_models: Path) -> None:
    found = results(tiny_models)
    assert found["ONNX Runtime"].severity is Severity.GOOD
    assert found["model"].severity is Severity.GOOD
    assert "tiny/1 passes its self-test on CPUExecutionProvider" in found["model"].detail


def test_a_missing_model_is_found_and_does_not_stop_the_next_check(
    tiny_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INFOMAX_MAX_BACTH", "8")
    found = results(tiny_models, model="large")
    assert found["model"].severity is Severity.BAD
    assert "no model large" in found["model"].detail
    assert "did you mean INFOMAX_MAX_BATCH?" in found["settings"].detail


def test_two_runtimes_are_found(tiny_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "runtimes", lambda: ("onnxruntime 1.32.0", "onnxruntime-gpu 1.31.1"))
    found = results(tiny_models)["ONNX Runtime"]
    assert found.severity is Severity.BAD
    assert "onnxruntime 1.32.0, onnxruntime-gpu 1.31.1 overwrite each other" in found.detail


@pytest.mark.skipif(gpu.obstacle() is None, reason="this machine has a working GPU")
@pytest.mark.parametrize(("device", "severity"), [("auto", Severity.NOTE), ("cuda", Severity.BAD)])
def test_a_gpu_that_does_not_work_matters_when_it_is_demanded(
    tiny_models: Path, device: str, severity: Severity
) -> None:
    found = results(tiny_models, device=device)
    assert (found["GPU"].severity, found["GPU"].detail) == (severity, gpu.obstacle())


def test_a_port_is_free_or_used_by_another_program(tiny_models: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        found = results(tiny_models, port=port)["port"]
    assert found.severity is Severity.BAD
    assert "Stop the program that uses the port" in found.detail
    assert results(tiny_models, port=port)["port"] == CheckResult("port", Severity.GOOD, f"{port} is free")


def test_a_missing_index_is_not_a_fault_and_is_not_made(tiny_models: Path, tmp_path: Path) -> None:
    found = results(tiny_models, data_dir=tmp_path / "data")["index"]
    assert found.severity is Severity.GOOD
    assert f"the first start will make {tmp_path / 'data'}" in found.detail
    assert list(tmp_path.iterdir()) == []


def test_an_embedded_index_that_a_service_uses_is_noted(
    tiny_models: Path, postgres: EmbeddedPostgres
) -> None:
    found = results(tiny_models, data_dir=postgres.folder)["index"]
    assert found.severity is Severity.NOTE
    assert "in use by another Infomax" in found.detail


def test_a_folder_that_cannot_hold_an_index_is_found(tiny_models: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    found = results(tiny_models, data_dir=tmp_path / "file" / "data")["index"]
    assert found.severity is Severity.BAD
    assert "Set INFOMAX_DATA_DIR to another folder" in found.detail


def test_an_outside_database_is_checked_and_not_changed(tiny_models: Path, empty_database: str) -> None:
    found = results(tiny_models, database_url=empty_database)["index"]
    assert found.severity is Severity.GOOD
    assert found.detail.startswith("PostgreSQL 18.")
    assert "with pgvector 0." in found.detail
    with psycopg.connect(empty_database) as connection:
        row = connection.execute("SELECT count(*) FROM pg_namespace WHERE nspname = 'infomax'").fetchone()
    assert row == (0,)


def test_a_database_that_does_not_answer_is_found(tiny_models: Path) -> None:
    found = results(tiny_models, database_url="postgresql://infomax:hush@127.0.0.1:1/infomax")["index"]
    assert found.severity is Severity.BAD
    assert "127.0.0.1:1/infomax cannot be reached" in found.detail
    assert "hush" not in found.detail


def test_keys_are_counted_a_bad_file_is_found_and_a_missing_setting_is_noted(
    tiny_models: Path, tmp_path: Path
) -> None:
    assert results(tiny_models)["API keys"].severity is Severity.NOTE
    keys = tmp_path / "keys.toml"
    bad = results(tiny_models, api_keys_file=keys)["API keys"]
    assert bad.severity is Severity.BAD
    assert f"{keys} cannot be read" in bad.detail
    keys.write_text(table_of("one", new_key(), None, None))
    assert results(tiny_models, api_keys_file=keys)["API keys"] == CheckResult(
        "API keys", Severity.GOOD, f"1 in {keys}"
    )
