"""API keys and the port of the metrics, with the real processes."""

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.quotas.api_keys import new_key, table_of
from tests.end_to_end.server import Server, serving, started, wait_for
from tests.pictures import photo

KEY = new_key()
WITH_KEY = {"Authorization": f"Bearer {KEY}", "Content-Type": "image/jpeg"}
DAILY = 10


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("access")


@pytest.fixture(scope="module")
def server(tiny_models: Path, folder: Path, module_index: str) -> Iterator[Server]:
    """Two processes, a key that may send ten images a day, and metrics on a port of their own."""
    keys = folder / "keys.toml"
    keys.write_text(table_of("one", KEY, None, DAILY))
    settings = {"api_keys_file": keys, "metrics_port": 0, "database_url": module_index}
    with serving(tiny_models, folder, workers=2, **settings) as server:
        yield server


def metrics_url(server: Server) -> str:
    (url,) = re.findall(r"metrics are on (http://[0-9.:]+/metrics)", server.log)
    return str(url)


def test_the_processes_count_together(server: Server) -> None:
    clients = [httpx.Client(base_url=server.url, headers=WITH_KEY) for _ in range(4)]
    try:
        statuses = [
            client.post("/v1/embeddings", content=photo(number)).status_code
            for number in range(4)
            for client in clients
        ]
    finally:
        for client in clients:
            client.close()
    assert statuses == [200] * DAILY + [429] * (16 - DAILY)
    answered_by = {record["process"] for record in server.records() if record.get("status") == 200}
    assert len(answered_by) == 2


def test_keys_come_and_go_without_a_restart(server: Server, folder: Path) -> None:
    other = new_key()

    def status(key: str) -> int:
        return httpx.get(f"{server.url}/v1/models", headers={"X-API-Key": key}).status_code

    assert (status(KEY), status(other)) == (200, 401)
    with (folder / "keys.toml").open("a") as file:
        file.write(table_of("other", other, None, None))
    # Each process looks once a second.
    wait_for(lambda: all(status(other) == 200 for _ in range(4)), server)
    (folder / "keys.toml").write_text(table_of("other", other, None, None))
    wait_for(lambda: all(status(KEY) == 401 for _ in range(4)), server)
    assert KEY not in server.log
    assert other not in server.log


def test_metrics_are_on_their_own_port_alone_and_need_no_key(server: Server) -> None:
    answer = httpx.get(metrics_url(server))
    assert answer.status_code == 200
    assert "infomax_ready 1.0" in answer.text
    pids = set(re.findall(r'process_resident_memory_bytes{pid="(\d+)"}', answer.text))
    assert pids == {str(server.pid), *(str(worker.pid) for worker in server.workers())}
    assert httpx.get(metrics_url(server) + "x").status_code == 404
    other = httpx.get(f"{server.url}/metrics", headers={"X-API-Key": "x"})
    assert other.status_code == 401


def test_a_scraper_that_says_nothing_does_not_keep_others_waiting(server: Server) -> None:
    host, port = metrics_url(server).removeprefix("http://").removesuffix("/metrics").split(":")
    with socket.create_connection((host, int(port))):
        assert httpx.get(metrics_url(server)).status_code == 200


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read (No such file or directory). Set INFOMAX_API_KEYS_FILE to a readable"),
        ("[keys.one]\nsha256 = 5\n", "keys.one.sha256 is not allowed: "),
    ],
)
def test_a_file_of_keys_that_cannot_be_used_stops_the_start(
    text: str | None, said: str, tiny_models: Path, tmp_path: Path
) -> None:
    keys = tmp_path / "keys.toml"
    if text is not None:
        keys.write_text(text)
    with started(tiny_models, tmp_path, api_keys_file=keys) as server:
        assert server.wait() == 1
        *_, last = server.log.splitlines()
    assert last.startswith("error: ")
    assert said in last
