"""What runs the model, told as it is."""

from pathlib import Path

import onnxruntime as ort
import pytest

from contract.artefact import open_artefact
from service import execution, gpu
from service.errors import SettingsError
from service.execution import CPU, Placement, place, place_in_child
from service.model import Model, open_model
from tests.service.faults import settings

needs_no_gpu = pytest.mark.skipif(gpu.obstacle() is None, reason="this machine has a working GPU")
needs_gpu = pytest.mark.skipif(gpu.obstacle() is not None, reason=f"no GPU to test on: {gpu.obstacle()}")


def encoder(models: Path) -> Path:
    return models / "tiny" / "1" / "encoder.onnx"


def test_the_processor_is_taken_where_it_is_asked_for(tiny_models: Path) -> None:
    report = open_model(settings(tiny_models, device="cpu", threads_per_run=2)).report
    assert (report.requested, report.active, report.providers) == ("cpu", CPU, (CPU,))
    assert report.why_not_gpu is None
    assert report.threads_per_run == 2


def test_the_report_counts_the_nodes_of_both_graphs(tiny_models: Path) -> None:
    report = open_model(settings(tiny_models)).report
    (share,) = report.nodes
    # 16 of the encoder and 7 of the critic, as tests/tiny_model.py writes them.
    assert (share.provider, share.nodes) == (CPU, 23)
    assert report.summary == "CPUExecutionProvider; nodes=23/23; precision=fp32"


def test_the_report_names_the_one_runtime_that_is_installed(tiny_models: Path) -> None:
    report = open_model(settings(tiny_models)).report
    assert report.runtime == execution.runtimes()[0]
    assert len(execution.runtimes()) == 1
    assert ort.__version__ in report.runtime


@needs_no_gpu
def test_auto_takes_the_processor_and_says_why(tiny_models: Path) -> None:
    report = open_model(settings(tiny_models, device="auto")).report
    assert (report.requested, report.active) == ("auto", CPU)
    assert report.why_not_gpu == gpu.obstacle()


@needs_no_gpu
@pytest.mark.parametrize("decide", [place, place_in_child])
def test_a_demanded_gpu_that_does_not_work_stops_the_start_and_says_why(
    tiny_models: Path, decide: object
) -> None:
    assert callable(decide)
    with pytest.raises(SettingsError, match="INFOMAX_DEVICE=cuda, but no GPU works") as caught:
        decide("cuda", encoder(tiny_models))
    assert str(gpu.obstacle()) in str(caught.value)


@needs_no_gpu
def test_a_session_that_falls_back_is_not_taken_for_a_gpu(
    tiny_models: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The driver's word alone is not enough: here the session itself has to find out."""
    monkeypatch.setattr(gpu, "obstacle", lambda: None)
    placement = place("auto", encoder(tiny_models))
    assert not placement.on_gpu
    assert placement.why_not_gpu is not None
    assert "fell back to the CPU" in placement.why_not_gpu
    assert capfd.readouterr().err == ""


@needs_no_gpu
def test_loaded_graphs_that_fell_back_are_not_taken_for_a_gpu_either(tiny_models: Path) -> None:
    artefact = open_artefact(tiny_models / "tiny" / "1")
    report = Model(artefact, Placement("auto", on_gpu=True), threads_per_run=1).report
    assert report.active == CPU
    assert "fell back to the CPU" in str(report.why_not_gpu)
    with pytest.raises(SettingsError, match="fell back to the CPU"):
        Model(artefact, Placement("cuda", on_gpu=True), threads_per_run=1)


@needs_gpu
def test_a_working_gpu_is_taken_and_holds_every_node(tiny_models: Path) -> None:
    model = open_model(settings(tiny_models, device="cuda"))
    assert (model.report.active, model.report.on_gpu) == (execution.CUDA, True)
    model.self_test(8)


def test_an_old_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: [execution.CUDA, CPU])
    monkeypatch.setattr(ort, "cuda_version", "13.0")
    monkeypatch.setattr(gpu, "driver", lambda: gpu.Driver((12, 4), ("NVIDIA T4",)))
    assert gpu.obstacle() == (
        "The NVIDIA driver supports CUDA 12.4, ONNX Runtime needs 13.0; update the driver."
    )


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: [execution.CUDA, CPU])
    monkeypatch.setattr(ort, "cuda_version", "13.0")
    monkeypatch.setattr(gpu, "driver", lambda: gpu.Driver((13, 1), ("NVIDIA L4",)))
    monkeypatch.setattr(gpu, "missing_libraries", lambda: ["Failed to load libcublas.so.13: no such file"])
    assert gpu.obstacle() == "Failed to load libcublas.so.13: no such file; install infomax[gpu]."


def test_a_runtime_without_cuda_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: [CPU])
    assert "was built without CUDA" in str(gpu.obstacle())
