"""Execution providers: what runs the model, and the report of it."""

import sys
from pathlib import Path

import onnxruntime as ort
import pytest

from contract.artefact import open_artefact
from contract.extras import installation
from service.errors import SettingsError
from service.inference.device_choice import CPU, CUDA, TENSORRT, DeviceChoice
from service.inference.execution_report import runtimes
from service.inference.gpu_options import GpuOptions
from service.inference.model import Model, open_model
from service.inference.providers import choose_device, open_session
from service.system import gpu
from tests.service.faults import settings

needs_no_gpu = pytest.mark.skipif(gpu.obstacle() is None, reason="this machine has a working GPU")
needs_gpu = pytest.mark.skipif(gpu.obstacle() is not None, reason=f"no GPU to test on: {gpu.obstacle()}")


def encoder(models: Path) -> Path:
    return models / "tiny" / "1" / "encoder.onnx"


def test_the_processor_is_taken_where_it_is_requested(tiny_models: Path) -> None:
    report = open_model(settings(tiny_models, device="cpu", threads_per_run=2)).report
    assert (report.requested, report.active, report.providers) == ("cpu", CPU, (CPU,))
    assert report.why_not_gpu is None
    assert report.threads_per_run == 2


def test_a_session_on_the_processor_does_not_keep_the_bytes_of_its_graph(tiny_models: Path) -> None:
    graph = encoder(tiny_models).read_bytes()
    references = sys.getrefcount(graph)
    session = open_session(graph, DeviceChoice("cpu", on_gpu=False), 1)
    assert session.get_inputs()
    assert sys.getrefcount(graph) == references


def test_the_report_counts_the_nodes_of_both_graphs(tiny_models: Path) -> None:
    report = open_model(settings(tiny_models)).report
    (share,) = report.nodes
    # 16 of the encoder and 7 of the critic, as tests/tiny_model.py writes them, and 11 of the standard error.
    assert (share.provider, share.nodes) == (CPU, 34)
    assert report.summary == "CPUExecutionProvider; nodes=34/34; precision=fp32"


def test_the_report_names_the_one_runtime_that_is_installed(tiny_models: Path) -> None:
    report = open_model(settings(tiny_models)).report
    assert report.runtime == runtimes()[0]
    assert len(runtimes()) == 1
    assert ort.__version__ in report.runtime


def test_two_runtimes_are_found_among_their_namesakes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, file in (
        ("onnxruntime-9.1.0", "onnxruntime/__init__.py"),
        ("onnxruntime_gpu-9.2.0", "onnxruntime/__init__.py"),
        ("onnxruntime_extensions-9.3.0", "onnxruntime_extensions/__init__.py"),
        ("onnxruntimes-9.4.0", "onnxruntime/__init__.py"),
    ):
        name, _, version = folder.partition("-")
        described = tmp_path / f"{folder}.dist-info"
        described.mkdir()
        (described / "METADATA").write_text(f"Name: {name.replace('_', '-')}\nVersion: {version}\n")
        (described / "RECORD").write_text(f"{file},,\n")
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    assert runtimes.__wrapped__() == ("onnxruntime 9.1.0", "onnxruntime-gpu 9.2.0")


@needs_no_gpu
def test_auto_takes_the_processor_and_reports_why(tiny_models: Path) -> None:
    report = open_model(settings(tiny_models, device="auto")).report
    assert (report.requested, report.active) == ("auto", CPU)
    assert report.why_not_gpu == gpu.obstacle()


def test_a_demanded_gpu_that_does_not_work_stops_the_start(tiny_models: Path) -> None:
    with pytest.raises(SettingsError, match="INFOMAX_DEVICE=cuda is set, but no GPU works") as caught:
        choose_device("cuda", encoder(tiny_models))
    assert str(gpu.obstacle()) in str(caught.value)


@needs_no_gpu
def test_a_session_that_falls_back_is_not_taken_for_a_gpu(
    tiny_models: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The driver claims to work; only the session shows that it does not."""
    monkeypatch.setattr(gpu, "obstacle", lambda: None)
    device = choose_device("auto", encoder(tiny_models))
    assert not device.on_gpu
    assert device.why_not_gpu is not None
    assert "fell back to the CPU" in device.why_not_gpu
    assert capfd.readouterr().err == ""


@needs_no_gpu
def test_loaded_graphs_that_fell_back_are_not_taken_for_a_gpu_either(tiny_models: Path) -> None:
    artefact = open_artefact(tiny_models / "tiny" / "1")
    report = Model(artefact, DeviceChoice("auto", on_gpu=True), threads_per_run=1).report
    assert report.active == CPU
    assert "fell back to the CPU" in str(report.why_not_gpu)
    with pytest.raises(SettingsError, match="fell back to the CPU"):
        Model(artefact, DeviceChoice("cuda", on_gpu=True), threads_per_run=1)


@needs_gpu
def test_a_working_gpu_is_taken_and_holds_every_node(tiny_models: Path) -> None:
    model = open_model(settings(tiny_models, device="cuda"))
    assert (model.report.active, model.report.on_gpu) == (CUDA, True)
    model.self_test(8)


@pytest.mark.parametrize(
    ("device", "changes", "says"),
    [
        ("cpu", {"cuda_graphs": True}, "INFOMAX_CUDA_GRAPHS is for a GPU, and INFOMAX_DEVICE=cpu uses none"),
        ("cpu", {"gpu_id": 1}, "INFOMAX_GPU_ID is for a GPU"),
        ("cpu", {"gpu_memory_bytes": 2**30}, "INFOMAX_GPU_MEMORY_BYTES is for a GPU"),
        ("cuda", {"tensorrt_fp16": True}, "INFOMAX_TENSORRT_FP16 is for TensorRT, and INFOMAX_DEVICE=cuda"),
        ("auto", {"tensorrt_cache": "engines"}, "INFOMAX_TENSORRT_CACHE is for TensorRT"),
        ("cuda", {"io_binding": True, "runs": 2}, "INFOMAX_IO_BINDING with INFOMAX_RUNS=2 is not allowed"),
    ],
)
def test_an_option_that_would_have_no_effect_is_refused(
    device: str, changes: dict[str, object], says: str, tiny_models: Path
) -> None:
    with pytest.raises(SettingsError, match=says):
        open_model(settings(tiny_models, device=device, **changes))


@needs_no_gpu
def test_gpu_options_are_reported_where_no_gpu_runs(tiny_models: Path) -> None:
    report = open_model(settings(tiny_models, device="auto", cuda_graphs=True, gpu_id=1)).report
    assert report.active == CPU
    assert report.gpu_asked == {"cuda_graphs": True, "gpu_id": 1}
    assert report.gpu_active == {}
    assert report.why_not_gpu == gpu.obstacle()


@needs_no_gpu
def test_tensorrt_that_is_demanded_and_does_not_run_stops_the_start(tiny_models: Path) -> None:
    with pytest.raises(
        SettingsError, match="INFOMAX_DEVICE=tensorrt is set, but TensorRT does not run"
    ) as caught:
        choose_device("tensorrt", encoder(tiny_models))
    assert str(gpu.obstacle()) in str(caught.value)


def test_each_provider_is_asked_with_its_options(tmp_path: Path) -> None:
    options = GpuOptions(
        gpu_id=1,
        gpu_memory_bytes=2**30,
        gpu_arena="next_power_of_two",
        cudnn_search="exhaustive",
        cuda_graphs=True,
        tensorrt_cache=tmp_path,
        tensorrt_fp16=True,
    )
    tensorrt, cuda, cpu = DeviceChoice("tensorrt", on_gpu=True, options=options).providers
    assert cuda == (
        CUDA,
        {
            "device_id": "1",
            "gpu_mem_limit": "1073741824",
            "arena_extend_strategy": "kNextPowerOfTwo",
            "cudnn_conv_algo_search": "EXHAUSTIVE",
            "use_tf32": "0",
            "enable_cuda_graph": "1",
        },
    )
    assert tensorrt == (
        TENSORRT,
        {
            "device_id": "1",
            "trt_fp16_enable": "1",
            "trt_cuda_graph_enable": "1",
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": str(tmp_path),
            "trt_timing_cache_enable": "1",
            "trt_timing_cache_path": str(tmp_path),
        },
    )
    assert cpu == (CPU, {})
    assert [name for name, _ in DeviceChoice("cuda", on_gpu=True, options=options).providers] == [
        CUDA,
        CPU,
    ]


def test_a_gpu_that_does_not_exist_is_named(tiny_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "obstacle", lambda: None)
    monkeypatch.setattr(gpu, "driver", lambda: gpu.Driver((13, 1), ("NVIDIA L4",)))
    with pytest.raises(SettingsError, match="INFOMAX_GPU_ID=3 does not exist: the driver shows 1"):
        choose_device("cuda", encoder(tiny_models), GpuOptions(gpu_id=3))


@needs_gpu
@pytest.mark.parametrize("changes", [{"io_binding": True}, {"cuda_graphs": True}])
def test_buffers_and_graphs_on_a_gpu_give_the_card_s_outputs(
    changes: dict[str, object], tiny_models: Path
) -> None:
    model = open_model(settings(tiny_models, device="cuda", **changes))
    for batch in (1, 4, 1, 3, 4):
        model.self_test(batch)
    assert model.report.gpu_active["io_binding"]


def test_an_old_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(ort, "cuda_version", "13.0")
    monkeypatch.setattr(gpu, "driver", lambda: gpu.Driver((12, 4), ("NVIDIA T4",)))
    assert gpu.obstacle() == (
        "The NVIDIA driver supports CUDA 12.4, ONNX Runtime needs 13.0; update the driver."
    )


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(ort, "cuda_version", "13.0")
    monkeypatch.setattr(gpu, "driver", lambda: gpu.Driver((13, 1), ("NVIDIA L4",)))
    monkeypatch.setattr(gpu, "missing_libraries", lambda: ["Failed to load libcublas.so.13: no such file"])
    assert gpu.obstacle() == f"Failed to load libcublas.so.13: no such file. {installation('gpu')}"


def test_a_runtime_without_cuda_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: [CPU])
    assert "was built without CUDA" in str(gpu.obstacle())
