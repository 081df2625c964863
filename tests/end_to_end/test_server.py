"""The real server process: how it starts, lives through deaths, and ends."""

import base64
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import onnx
import orjson
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from contract.artefact import open_artefact
from service.cli.doctor import Severity, examine
from service.system import gpu
from tests.end_to_end.server import Server, serving, started, wait_for
from tests.pictures import photo
from tests.service.exchange import Exchange
from tests.service.faults import settings
from tests.tiny_model import build_tiny_model, write_artefact

PNG = photo(image_format="PNG")


def embed(client: httpx.Client, **headers: str) -> httpx.Response:
    return client.post("/v1/embeddings", content=PNG, headers={"Content-Type": "image/png", **headers})


def metric(server: Server, name: str, **labels: str) -> float:
    """A metric of all processes of a server; 0 where it has no such sample."""
    text = httpx.get(f"{server.url}/metrics").text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return sum(
        sample.value for sample in samples if sample.name == name and labels.items() <= sample.labels.items()
    )


def process_of(server: Server, request_id: str) -> object:
    """Which process answered a request, by the log, which is written when the answer is on its way."""

    def found() -> list[object]:
        return [record["process"] for record in server.records() if record.get("request_id") == request_id]

    wait_for(lambda: bool(found()), server)
    return found()[0]


def has_connection(worker: psutil.Process, port: int) -> bool:
    """Whether a process holds the other end of a connection from a local port."""
    return any(one.raddr and one.raddr.port == port for one in worker.net_connections("tcp"))


def ready_workers(server: Server) -> int:
    """How many workers have become ready since the server was started, by the log."""
    return sum("is ready, pid" in str(record["message"]) for record in server.records())


def test_connections_are_dealt_out_evenly_and_all_processes_are_one_to_the_outside(
    tiny_models: Path, tmp_path: Path, index_url: str
) -> None:
    with serving(tiny_models, tmp_path, workers=2, database_url=index_url) as server:
        assert "Infomax serves tiny/1 on http://127.0.0.1:" in server.output
        assert "CPUExecutionProvider; nodes=34/34; precision=fp32, 2 processes" in server.output
        clients = [httpx.Client(base_url=server.url) for _ in range(4)]
        try:
            for number, client in enumerate(clients):
                assert embed(client, **{"X-Request-Id": f"r{number}"}).status_code == 200
        finally:
            for client in clients:
                client.close()
        # Open at the same time, each connection went to the process with fewer.
        answered_by = [process_of(server, f"r{number}") for number in range(4)]
        assert sorted(map(answered_by.count, set(answered_by))) == [2, 2]
        route = "/v1/embeddings"
        # Counted when the answer is on its way.
        wait_for(lambda: metric(server, "infomax_requests_total", route=route, status="200") == 4, server)
        assert metric(server, "infomax_items_total", route=route, outcome="ok") == 4
        assert metric(server, "infomax_ready") == 1
        # Parent and workers.
        assert metric(server, "process_resident_memory_bytes") > metric(
            server, "process_resident_memory_bytes", pid=str(server.pid)
        )


def test_a_worker_that_is_killed_is_replaced_and_the_service_goes_on(
    tiny_models: Path, tmp_path: Path, index_url: str
) -> None:
    with (
        serving(tiny_models, tmp_path, workers=2, database_url=index_url) as server,
        # Its connection is kept however long the replacement takes.
        httpx.Client(base_url=server.url, limits=httpx.Limits(keepalive_expiry=None)) as client,
    ):
        assert embed(client, **{"X-Request-Id": "first"}).status_code == 200
        survivor = process_of(server, "first")
        (victim,) = (worker for worker in server.workers() if worker.pid != survivor)
        victim.kill()
        wait_for(lambda: ready_workers(server) == 3, server)
        # Neither the other process nor its connection noticed.
        assert embed(client, **{"X-Request-Id": "second"}).status_code == 200
        assert process_of(server, "second") == survivor
        with httpx.Client(base_url=server.url) as another:
            assert embed(another, **{"X-Request-Id": "third"}).status_code == 200
        replacement = process_of(server, "third")
        assert replacement in {worker.pid for worker in server.workers()} - {survivor, victim.pid}
        assert metric(server, "infomax_requests_total", route="/v1/embeddings") == 3
        assert metric(server, "process_resident_memory_bytes", pid=str(victim.pid)) == 0
        (said,) = (record for record in server.records() if record["level"] == "ERROR")
        assert "killed by SIGKILL" in str(said["message"])


def test_a_stream_that_another_worker_helps_with_survives_that_worker(
    tiny_models: Path, tmp_path: Path, index_url: str
) -> None:
    images = [base64.b64encode(photo(seed)).decode() for seed in range(50)]
    asked = "".join(orjson.dumps({"image": image}).decode() + "\n" for image in images * 4).encode()
    with serving(tiny_models, tmp_path, workers=2, database_url=index_url) as server:
        address = httpx.URL(server.url)
        connection = socket.create_connection((address.host, address.port or 0), timeout=60)
        with Exchange(connection, "/v1/batch", "application/x-ndjson") as stream:
            port = connection.getsockname()[1]
            wait_for(lambda: any(has_connection(worker, port) for worker in server.workers()), server)
            (helper,) = (worker for worker in server.workers() if not has_connection(worker, port))
            used = sum(helper.cpu_times()[:2])
            for number in range(20):
                stream.send(asked)
                if number == 10:
                    # It has done its part up to now.
                    assert sum(helper.cpu_times()[:2]) > used
                    helper.kill()
                if number == 0:
                    assert stream.status() == 200
                statuses = [(line := stream.line()) and line["status"] for _ in range(4 * len(images))]
                assert statuses == ["ok"] * len(statuses)
            stream.send(b"")
            summary = stream.line()
            assert summary is not None
            assert summary["summary"]["ok"] == 20 * 4 * len(images)
            assert summary["summary"]["complete"]
        wait_for(lambda: ready_workers(server) == 3, server)


def test_a_killed_parent_takes_its_workers_along_and_its_items_are_found_again(
    tiny_models: Path, tmp_path: Path
) -> None:
    with serving(tiny_models, tmp_path, workers=2) as server:
        put = httpx.put(f"{server.url}/v1/items/kept", content=PNG, headers={"Content-Type": "image/png"})
        assert put.is_success
        server.kill()
    with serving(tiny_models, tmp_path, workers=2) as server:
        assert httpx.get(f"{server.url}/v1/items/kept").status_code == 200
        assert server.terminate() == 0


@dataclass
class Caller:
    """A client that sends one request after the other until the service says that it stops.

    Attributes:
        answered: statuses by request id.
        lost: ids of requests that got no answer.
    """

    number: int
    answered: dict[str, int] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)

    def call(self, url: str, until_answered: Callable[[], None]) -> None:
        with httpx.Client(base_url=url, timeout=60) as client:
            while 503 not in self.answered.values() and not self.lost:
                request_id = f"caller-{self.number}-{len(self.answered)}"
                try:
                    response = embed(client, **{"X-Request-Id": request_id})
                except httpx.TransportError:
                    self.lost.append(request_id)
                    break
                self.answered[request_id] = response.status_code
                if response.status_code == 503:
                    assert response.json()["code"] == "shutting_down"
                    assert response.headers["connection"] == "close"
                until_answered()


def test_sigterm_under_load_leaves_no_request_that_was_read_without_its_answer(
    tiny_models: Path, tmp_path: Path
) -> None:
    busy = threading.Semaphore(0)
    callers = [Caller(number) for number in range(8)]
    with serving(tiny_models, tmp_path, workers=2) as server:
        threads = [
            threading.Thread(target=caller.call, args=(server.url, busy.release)) for caller in callers
        ]
        for thread in threads:
            thread.start()
        for _ in range(5 * len(callers)):
            assert busy.acquire(timeout=60)
        assert server.terminate() == 0
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
        logged = {
            str(record["request_id"]): record["status"] for record in server.records() if "status" in record
        }
    answered = {key: status for caller in callers for key, status in caller.answered.items()}
    assert set(answered.values()) <= {200, 503}
    # What the server read, it answered, and the answer arrived.
    assert {key: status for key, status in logged.items() if key.startswith("caller")} == answered
    assert "Traceback" not in server.log


class SlowUpload:
    """A request that is sent up to its last byte, which is kept back."""

    def __init__(self, server: Server) -> None:
        host, port = server.url.removeprefix("http://").split(":")
        self._socket = socket.create_connection((host, int(port)))
        head = (
            "POST /v1/embeddings HTTP/1.1\r\nHost: infomax\r\nContent-Type: image/png\r\n"
            f"X-Request-Id: slow\r\nContent-Length: {len(PNG)}\r\nExpect: 100-continue\r\n\r\n"
        )
        self._socket.sendall(head.encode())
        # The server asks for the body once the route reads it: then the request is under way.
        assert self._socket.recv(100).startswith(b"HTTP/1.1 100 ")
        self._socket.sendall(PNG[:-1])

    def finish(self) -> None:
        self._socket.sendall(PNG[-1:])

    def answer(self) -> bytes:
        """Everything that the server sends up to the connection's end."""
        with self._socket:
            parts = []
            while part := self._socket.recv(65536):
                parts.append(part)
        return b"".join(parts)


def is_draining(server: Server) -> bool:
    return httpx.get(f"{server.url}/readyz").status_code == 503


def test_while_it_drains_it_answers_what_it_had_begun_and_refuses_what_is_new(
    tiny_models: Path, tmp_path: Path, index_url: str
) -> None:
    with serving(tiny_models, tmp_path, workers=1, drain_seconds=600, database_url=index_url) as server:
        upload = SlowUpload(server)
        server.process.send_signal(signal.SIGTERM)
        wait_for(lambda: is_draining(server), server)
        ready = httpx.get(f"{server.url}/readyz")
        assert (ready.status_code, ready.json()["code"]) == (503, "not_ready")
        assert "stopping" in ready.json()["detail"]
        assert httpx.get(f"{server.url}/livez").status_code == 200
        with httpx.Client(base_url=server.url) as client:
            refused = embed(client)
        assert (refused.status_code, refused.json()["code"]) == (503, "shutting_down")
        assert int(refused.headers["retry-after"]) >= 1
        upload.finish()
        assert upload.answer().startswith(b"HTTP/1.1 200 ")
        assert server.wait() == 0


def test_what_is_not_done_when_the_drain_is_over_is_refused(
    tiny_models: Path, tmp_path: Path, index_url: str
) -> None:
    with serving(tiny_models, tmp_path, workers=1, drain_seconds=0, database_url=index_url) as server:
        upload = SlowUpload(server)
        server.process.send_signal(signal.SIGTERM)
        answer = upload.answer()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b'"code":"shutting_down"' in answer
        assert server.wait() == 0


def test_a_second_signal_ends_it_at_once(tiny_models: Path, tmp_path: Path) -> None:
    with serving(tiny_models, tmp_path, workers=1, drain_seconds=80_000) as server:
        postgres = [child for child in psutil.Process(server.pid).children() if child.name() == "postgres"]
        upload = SlowUpload(server)
        server.process.send_signal(signal.SIGINT)
        wait_for(lambda: is_draining(server), server)
        server.process.send_signal(signal.SIGINT)
        assert server.wait() == 0
        assert upload.answer() == b""
        assert [process for process in postgres if process.is_running()] == []


def failed_start(models: Path, folder: Path, **settings: object) -> str:
    """The one sentence with which a start ends."""
    with started(models, folder, **settings) as server:
        assert server.wait() == 1
        assert server.output == ""
        assert "Traceback" not in server.log
        *records, said = server.log.splitlines()
    assert all(record.startswith("{") for record in records)
    assert said.startswith("error: ")
    return said


def test_a_setting_that_is_not_allowed_stops_the_start(tiny_models: Path, tmp_path: Path) -> None:
    said = failed_start(tiny_models, tmp_path, max_batch="many")
    assert said.startswith("error: INFOMAX_MAX_BATCH='many' is not allowed: ")


def test_a_missing_model_stops_the_start(tiny_models: Path, tmp_path: Path) -> None:
    said = failed_start(tiny_models, tmp_path, model="large")
    assert "no model large; it holds tiny/1" in said
    assert "INFOMAX_MODEL" in said


def test_an_address_that_is_taken_stops_the_start(tiny_models: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        said = failed_start(tiny_models, tmp_path, port=port)
    assert f"INFOMAX_PORT={port} cannot be listened on (Address already in use)" in said
    assert "Stop the program that uses the port" in said


def test_a_second_service_and_the_doctor_are_told_that_an_infomax_answers(
    tiny_models: Path, tmp_path: Path
) -> None:
    with serving(tiny_models, tmp_path / "first", workers=1) as server:
        # The last line of the start is the address, alone.
        assert f"\nOpen {server.url} in a browser. Ctrl-C stops the service.\n" in server.output
        assert all(line.startswith("{") for line in server.log.splitlines())
        port = int(server.url.rpartition(":")[2])
        said = failed_start(tiny_models, tmp_path / "second", port=port)
        assert f"An Infomax service answers on {server.url}: use it" in said
        own = settings(tiny_models, port=port, data_dir=tmp_path / "first" / "data")
        found = {result.subject: result for result in examine(own)}
        assert (found["port"].severity, found["index"].severity) == (Severity.NOTE, Severity.NOTE)
        assert found["port"].detail == f"an Infomax service answers on {server.url} already"
        assert "by the Infomax service that answers on the port" in found["index"].detail


def test_a_database_that_cannot_be_reached_stops_the_start(tiny_models: Path, tmp_path: Path) -> None:
    url = "postgresql://infomax:hush@127.0.0.1:1/infomax"
    said = failed_start(tiny_models, tmp_path, database_url=url)
    assert "127.0.0.1:1/infomax cannot be reached" in said
    assert "hush" not in said


def test_a_model_that_fails_its_self_test_in_the_workers_stops_the_start(
    tmp_path: Path, index_url: str
) -> None:
    folder = build_tiny_model(tmp_path / "models")
    artefact = open_artefact(folder)
    golden = artefact.card.golden
    wrong = golden.model_copy(update={"code": tuple(value + 1 for value in golden.code)})
    card = artefact.card.model_copy(update={"golden": wrong})
    write_artefact(folder, card, onnx.load(artefact.encoder), onnx.load(artefact.critic))
    said = failed_start(tmp_path / "models", tmp_path, workers=2, database_url=index_url)
    assert "tiny/1 fails its self-test on CPUExecutionProvider: code differs" in said


@pytest.mark.skipif(gpu.obstacle() is None, reason="this machine has a working GPU")
def test_a_gpu_that_is_demanded_and_does_not_work_stops_the_start(tiny_models: Path, tmp_path: Path) -> None:
    said = failed_start(tiny_models, tmp_path, device="cuda")
    assert said.startswith("error: INFOMAX_DEVICE=cuda is set, but no GPU works. ")
    assert str(gpu.obstacle()) in said
