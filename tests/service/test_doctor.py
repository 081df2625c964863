"""What the doctor finds."""

from pathlib import Path

import pytest

from service import doctor, gpu
from service.doctor import Finding, State
from tests.service.faults import settings


def findings(models: Path, **changes: object) -> dict[str, Finding]:
    return {finding.subject: finding for finding in doctor.examine(settings(models, **changes))}


def test_a_good_machine_passes(tiny_models: Path) -> None:
    found = findings(tiny_models)
    assert found["ONNX Runtime"].state is State.GOOD
    assert found["model"].state is State.GOOD
    assert "tiny/1 passes its self-test on CPUExecutionProvider" in found["model"].detail


def test_a_missing_model_is_found_and_does_not_end_the_examination(
    tiny_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INFOMAX_MAX_BACTH", "8")
    found = findings(tiny_models, model="large")
    assert found["model"].state is State.BAD
    assert "no model large" in found["model"].detail
    assert "did you mean INFOMAX_MAX_BATCH?" in found["settings"].detail


def test_two_runtimes_are_found(tiny_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "runtimes", lambda: ("onnxruntime 1.32.0", "onnxruntime-gpu 1.31.1"))
    found = findings(tiny_models)["ONNX Runtime"]
    assert found.state is State.BAD
    assert "onnxruntime 1.32.0, onnxruntime-gpu 1.31.1 overwrite each other" in found.detail


@pytest.mark.skipif(gpu.obstacle() is None, reason="this machine has a working GPU")
@pytest.mark.parametrize(("device", "state"), [("auto", State.NOTE), ("cuda", State.BAD)])
def test_a_gpu_that_does_not_work_matters_when_it_is_demanded(
    tiny_models: Path, device: str, state: State
) -> None:
    found = findings(tiny_models, device=device)
    assert (found["GPU"].state, found["GPU"].detail) == (state, gpu.obstacle())
