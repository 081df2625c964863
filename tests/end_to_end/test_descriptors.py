"""A service whose file descriptors are used up by connections."""

import socket
from collections import Counter
from pathlib import Path

import httpx
import psutil

from tests.end_to_end.server import ROOT, Server, wait_for
from tests.network_watch import at_home
from tests.training.command import EXECUTABLE

LIMIT = 200
WORKERS = 2
_PATIENCE = 60


def connect(server: Server) -> socket.socket:
    host, port = server.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=_PATIENCE)


def ask(client: socket.socket, path: str = "/livez") -> bytes:
    """The whole answer; that of a refusal is lost where its client was still sending."""
    answer = b""
    try:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        while not answer.endswith(b"}"):
            piece = client.recv(65536)
            if not piece:
                break
            answer += piece
    except ConnectionError:
        pass
    return answer or b"HTTP/1.1 503 "


def held(server: Server) -> Counter[int]:
    """Number of connections of clients that each worker has."""
    port = int(server.url.rpartition(":")[2])
    return Counter(
        {
            worker.pid: sum(1 for one in worker.net_connections("tcp") if one.laddr and one.laddr[1] == port)
            for worker in server.workers()
        }
    )


def test_connections_beyond_the_limit_are_refused_and_counted(tiny_models: Path, tmp_path: Path) -> None:
    command = ["sh", "-c", f"ulimit -n {LIMIT} && exec {EXECUTABLE} serve"]
    variables = {
        "INFOMAX_MODELS_DIR": str(tiny_models),
        "INFOMAX_MODEL": "tiny",
        "INFOMAX_PORT": "0",
        "INFOMAX_WORKERS": str(WORKERS),
        "INFOMAX_DATA_DIR": str(tmp_path / "data"),
    }
    server = Server.of(command, tmp_path / "server", ROOT, at_home(tmp_path, **variables))
    try:
        server.wait_until_ready()
        clients = [connect(server) for _ in range(LIMIT * WORKERS + 50)]
        answers = [ask(client) for client in clients]
        statuses = Counter(answer.split(b" ")[1] for answer in answers)
        assert set(statuses) == {b"200", b"503"}
        assert statuses[b"200"] > LIMIT
        refused = next(answer for answer in answers if b"too_many_connections" in answer)
        assert b"retry-after: 1\r\n" in refused.lower()
        # What is connected already is served on, with all that it takes.
        assert answers[0].startswith(b"HTTP/1.1 200 ")
        assert ask(clients[0], "/readyz").startswith(b"HTTP/1.1 200 ")
        assert any("file descriptors" in str(record["message"]) for record in server.records())

        for client in clients:
            client.close()
        wait_for(lambda: not sum(held(server).values()), server)
        # The parent's count is right: it deals out evenly.
        for _ in range(10):
            pair = [connect(server) for _ in range(WORKERS)]
            for client in pair:
                assert ask(client).startswith(b"HTTP/1.1 200 ")
            assert set(held(server).values()) == {1}
            for client in pair:
                client.close()
            wait_for(lambda: not sum(held(server).values()), server)
        assert psutil.Process(server.pid).num_fds() < LIMIT // 2
        with httpx.Client(base_url=server.url) as http:
            assert http.get("/readyz").status_code == 200
    finally:
        server.clean_up()
