"""Model versions that change while the real server answers."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import onnx

from contract.artefact import open_artefact
from contract.card import CRITIC_FILE, ENCODER_FILE
from tests import tiny_model
from tests.end_to_end.server import Server, serving, wait_for
from tests.end_to_end.test_server import metric, ready_workers
from tests.pictures import photo
from tests.tiny_model import build_tiny_model, write_artefact

PNG = photo(image_format="PNG")
HEADERS = {"Content-Type": "image/png"}
OTHER_EMBEDDING = 7


def build_other_model(models: Path) -> Path:
    """Build a model of another name whose embeddings have another length."""
    with patch.multiple(tiny_model, NAME="other", EMBEDDING=OTHER_EMBEDDING):
        return build_tiny_model(models, seed=5)


def break_graph(folder: Path) -> None:
    """Truncate a file, as an interrupted copy does."""
    encoder = folder / ENCODER_FILE
    encoder.write_bytes(encoder.read_bytes()[:1000])


def break_golden(folder: Path) -> None:
    """Change the golden outputs of the card, and keep its digests right."""
    card = open_artefact(folder).card
    golden = card.golden
    wrong = golden.model_copy(update={"code": tuple(value + 1 for value in golden.code)})
    encoder, critic = (onnx.load(folder / name) for name in (ENCODER_FILE, CRITIC_FILE))
    write_artefact(folder, card.model_copy(update={"golden": wrong}), encoder, critic)


def embed(client: httpx.Client, **parameters: str) -> httpx.Response:
    return client.post("/v1/embeddings", content=PNG, headers=HEADERS, params=parameters)


def answered_by(server: Server) -> set[str]:
    """Find the versions that answer on new connections, which go to one worker after the other."""
    versions = set()
    clients = [httpx.Client(base_url=server.url) for _ in range(4)]
    for client in clients:
        versions.add(embed(client).headers["X-Model"])
    for client in clients:
        client.close()
    return versions


def states(server: Server) -> dict[str, str]:
    """Return the state of each version, by its id."""
    models = httpx.get(f"{server.url}/v1/models").json()["data"]
    return {str(model["id"]): str(model["state"]) for model in models}


def load(server: Server, name: str, **members: object) -> httpx.Response:
    return httpx.post(f"{server.url}/v1/models/{name}/load", json=members, timeout=120)


@dataclass
class Caller:
    """A client that sends one request after the other on one connection.

    Attributes:
        models: version that answered each request, by the header.
        failures: wrong answers.
    """

    models: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def call(self, url: str, stop: threading.Event, answered: Callable[[], None]) -> None:
        with httpx.Client(base_url=url, timeout=60) as client:
            while not stop.is_set() and not self.failures:
                response = embed(client)
                if response.status_code != 200 or response.json()["model"] != response.headers["X-Model"]:
                    self.failures.append(response.text)
                self.models.append(response.headers.get("X-Model", ""))
                answered()

    def went_on(self, seen: int) -> bool:
        """Whether more answers came than were seen, or one that is not as it should be."""
        return len(self.models) > seen or bool(self.failures)


@contextmanager
def calling(server: Server, count: int) -> Iterator[list[Caller]]:
    """Run clients until the block ends; each is answered once before it begins and once after."""
    stop, answers = threading.Event(), threading.Semaphore(0)
    callers = [Caller() for _ in range(count)]
    threads = [threading.Thread(target=one.call, args=(server.url, stop, answers.release)) for one in callers]
    for thread in threads:
        thread.start()

    def wait_for_all() -> None:
        before = [len(caller.models) for caller in callers]
        for caller, seen in zip(callers, before, strict=True):
            wait_for(partial(caller.went_on, seen), server)

    try:
        wait_for_all()
        yield callers
        wait_for_all()
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)


def test_a_new_version_is_activated_during_requests_and_none_is_lost(tmp_path: Path, index_url: str) -> None:
    models = tmp_path / "models"
    build_tiny_model(models)
    build_other_model(models)
    with serving(models, tmp_path, models="other", workers=2, database_url=index_url) as server:
        with httpx.Client(base_url=server.url) as client:
            assert client.put("/v1/items/a", content=PNG, headers=HEADERS).json()["model"] == "tiny/1"
            answer = embed(client, model="other")
            assert answer.headers["X-Model"] == "other/1"
            assert len(answer.json()["data"][0]["embedding"]) == OTHER_EMBEDDING
            # Each model searches its own items.
            search: dict[str, Any] = {"content": PNG, "headers": HEADERS}
            assert client.post("/v1/neighbours?model=other", **search).json()["neighbours"] == []
            (hit,) = client.post("/v1/neighbours", **search).json()["neighbours"]
            assert hit["id"] == "a"
        build_tiny_model(models, version=2, seed=1)
        with calling(server, 3) as callers:
            answer = load(server, "tiny")
            assert (answer.status_code, answer.json()["id"]) == (200, "tiny/2"), answer.text
            # After the answer, the old version answers nowhere.
            assert answered_by(server) == {"tiny/2"}
        for caller in callers:
            assert caller.failures == []
            # The old version, then the new one, and never back.
            assert set(caller.models) == {"tiny/1", "tiny/2"}
            assert caller.models == sorted(caller.models)
        assert states(server) == {"tiny/2": "ready", "other/1": "ready", "tiny/1": "retired"}
        with httpx.Client(base_url=server.url) as client:
            answer = client.post("/v1/neighbours", **search).json()
            assert answer == {"model": "tiny/2", "neighbours": []}
            assert client.get("/v1/items/a").json()["code"] == "item_not_found"
        # tiny/1 is retired, other/1 is left.
        wait_for(lambda: metric(server, "infomax_model_info", version="1") == 1, server)
        assert metric(server, "infomax_model_info", version="2") == 1
        # The replacement of a killed worker starts with the version that is served now.
        server.workers()[0].kill()
        wait_for(lambda: ready_workers(server) == 3, server)
        assert answered_by(server) == {"tiny/2"}
        # And back again.
        assert load(server, "tiny", version=1).json()["id"] == "tiny/1"
        with httpx.Client(base_url=server.url) as client:
            assert client.get("/v1/items/a").json()["model"] == "tiny/1"
        assert "Traceback" not in server.log
        assert server.terminate() == 0


def test_a_broken_version_changes_nothing_and_its_reason_is_shown(tmp_path: Path, index_url: str) -> None:
    models = tmp_path / "models"
    build_tiny_model(models)
    with (
        serving(models, tmp_path, workers=2, database_url=index_url) as server,
        calling(server, 2) as callers,
    ):
        break_graph(build_tiny_model(models, version=2, seed=1))
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: states(server).get("tiny/2") == "failed", server)
        reason = httpx.get(f"{server.url}/v1/models/tiny/2").json()["reason"]
        assert "encoder.onnx is no readable ONNX file" in reason
        wait_for(lambda: metric(server, "infomax_model_load_failed", model="tiny") == 1, server)
        # Its digests are right; only running it shows that it is wrong.
        break_golden(build_tiny_model(models, version=3, seed=2))
        answer = load(server, "tiny")
        assert (answer.status_code, answer.json()["code"]) == (409, "model_refused"), answer.text
        assert "tiny/3 fails its self-test on CPUExecutionProvider: code differs" in answer.json()["detail"]
        assert load(server, "tiny", version=9).json()["code"] == "model_refused"
        assert load(server, "large").json()["code"] == "unknown_model"
        assert answered_by(server) == {"tiny/1"}
        errors = [record for record in server.records() if record["level"] == "ERROR"]
        assert [str(record["message"]).split(":")[0] for record in errors] == [
            f"tiny/{version} was not loaded, tiny/1 serves on" for version in (2, 3, 9)
        ]
        # Two signals at once, and a third during the rollout.
        build_tiny_model(models, version=4, seed=3)
        server.process.send_signal(signal.SIGHUP)
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: states(server).get("tiny/4") is not None, server)
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: states(server).get("tiny/4") == "ready", server)
        wait_for(lambda: answered_by(server) == {"tiny/4"}, server)
        wait_for(lambda: metric(server, "infomax_model_load_failed", model="tiny") == 0, server)
        assert states(server) == {"tiny/4": "ready", "tiny/1": "retired"}
    assert [caller.failures for caller in callers] == [[], []]
    assert "Traceback" not in server.log
