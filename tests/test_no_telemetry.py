"""Nothing is reported to anyone: no name is looked up, no stranger connected to, no identity kept."""

import socket
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest

from tests.end_to_end.server import ROOT, Server
from tests.network_watch import Watched, at_home, files_under
from tests.pictures import photo
from tests.training.command import EXECUTABLE, RECIPE

DATA = ROOT / "tests" / "data"
# Of training alone: matplotlib's list of this machine's fonts, and the decoded images.
OWN = (".cache/matplotlib/", ".cache/infomax/")

RESOLVE = "import socket; socket.getaddrinfo('host.invalid', 80)"
CONNECT = "import socket; socket.create_connection(('192.0.2.1', 80), 0.01)"


def kept(home: Path) -> list[str]:
    return [name for name in files_under(home) if not name.startswith(OWN)]


@pytest.mark.parametrize("package", ["contract", "service", "training", "bench"])
def test_onnx_runtime_keeps_no_identity_behind_any_of_the_packages(package: str, tmp_path: Path) -> None:
    # The variable says the opposite, as a user's environment may.
    environment = at_home(tmp_path, ORT_DISABLE_TELEMETRY="0")
    subprocess.run(
        [sys.executable, "-c", f"import {package}, onnxruntime"], env=environment, cwd=ROOT, check=True
    )
    assert files_under(tmp_path) == []


def test_a_cluster_that_is_started_here_reports_no_use() -> None:
    usage = pytest.importorskip("ray._common.usage.usage_lib", reason="the extra ray is not installed")
    assert not usage.usage_stats_enabled()


@pytest.mark.parametrize(("code", "seen"), [(RESOLVE, ":53"), (CONNECT, "192.0.2.1:80")])
def test_the_watch_sees_what_it_is_for(code: str, seen: str, tmp_path: Path) -> None:
    if code == RESOLVE and not _has_name_servers():
        pytest.skip("this machine asks no name server")
    watched = Watched([sys.executable, "-c", code], tmp_path / "trace")
    assert subprocess.run(watched.command, capture_output=True).returncode != 0
    assert any(one.endswith(seen) for one in watched.strangers())


def test_the_watch_lets_this_machine_pass(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        code = f"import socket; socket.create_connection({address!r})"
        watched = Watched([sys.executable, "-c", code], tmp_path / "trace")
        subprocess.run(watched.command, check=True)
    assert watched.strangers() == set()


def test_the_doctor_turns_to_nobody(tiny_models: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    watched = Watched([EXECUTABLE, "doctor"], tmp_path / "trace")
    variables = {"INFOMAX_MODELS_DIR": str(tiny_models), "INFOMAX_MODEL": "tiny", "INFOMAX_PORT": "0"}
    answer = subprocess.run(
        watched.command, env=at_home(home, **variables), cwd=tmp_path, capture_output=True, text=True
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert watched.strangers() == set()
    assert kept(home) == []


def test_serving_turns_to_nobody(tiny_models: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    watched = Watched([EXECUTABLE, "serve"], tmp_path / "trace")
    variables = {
        "INFOMAX_MODELS_DIR": str(tiny_models),
        "INFOMAX_MODEL": "tiny",
        "INFOMAX_PORT": "0",
        "INFOMAX_DATA_DIR": str(tmp_path / "data"),
        # As an environment may have it for other programs: only INFOMAX_TRACING switches traces on.
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://192.0.2.1:4318",
    }
    server = Server.of(watched.command, tmp_path / "server", tmp_path, at_home(home, **variables))
    try:
        server.wait_until_ready()
        url = server.url
        for path in ("/v1/embeddings", "/v1/mi-maps", "/v1/neighbours"):
            assert httpx.post(url + path, content=photo(), headers={"Content-Type": "image/jpeg"}).is_success
    finally:
        # strace, which is between, takes no signals.
        for child in psutil.Process(server.pid).children():
            child.terminate()
        server.wait()
    assert watched.strangers() == set()
    assert kept(home) == []


def test_training_and_measuring_turn_to_nobody(tiny_models: Path, tmp_path: Path) -> None:
    home, recipe = tmp_path / "home", tmp_path / "sample.toml"
    home.mkdir()
    recipe.write_text(RECIPE.replace("epochs = 2", "epochs = 1"))
    train, test = DATA / "sample_train.parquet", DATA / "sample_test.parquet"
    for arguments in (
        ("train", "--recipe", recipe, "--data", train, "--out", tmp_path / "run", "--no-report"),
        ("probe", "--model", tiny_models / "tiny" / "1", "--train", train, "--test", test),
    ):
        watched = Watched([EXECUTABLE, *map(str, arguments)], tmp_path / "trace")
        environment = at_home(home, OMP_NUM_THREADS="1")
        answer = subprocess.run(
            watched.command, env=environment, cwd=tmp_path, capture_output=True, text=True
        )
        assert answer.returncode == 0, answer.stdout + answer.stderr
        assert watched.strangers() == set()
        assert kept(home) == []


def _has_name_servers() -> bool:
    try:
        return "nameserver" in Path("/etc/resolv.conf").read_text()
    except FileNotFoundError:
        return False
