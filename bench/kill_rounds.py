"""`make kill-rounds`: kill the server, its PostgreSQL or a part of either repeatedly; nothing may be lost.

Writers store, replace and delete items by `PUT`, `DELETE` and `POST /v1/items` until a process is killed
without warning. Then every item of the index is compared with the acknowledged changes. An acknowledged
change has to be there. One that was under way may be there or not, as a whole.
"""

import random
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, sleep
from typing import Annotated

import httpx
import numpy as np
import orjson
import psutil
import typer

from contract.artefact import open_artefact
from tests.end_to_end.server import Server, wait_for
from tests.tiny_model import build_tiny_model

_WRITERS = 3
_IDS_EACH = 400
_MOST_IN_STREAM = 200
_LONGEST_ROUND_SECONDS = 2.0
_PAGE = 1000
_NDJSON = {"content-type": "application/x-ndjson"}

Version = int | None
"""Version that an item's metadata hold; None where there is no item."""


@dataclass
class Expected:
    """Versions that each item may have now.

    Attributes:
        versions: for each id the acknowledged version, and those that were under way since.
        acknowledged: number of changes that were acknowledged.
    """

    versions: dict[str, set[Version]] = field(default_factory=dict)
    acknowledged: int = 0

    def begin(self, item_id: str, version: Version) -> None:
        """Note a change that is sent."""
        self.versions.setdefault(item_id, {None}).add(version)

    def acknowledge(self, item_id: str, version: Version) -> None:
        """Note an acknowledged change: no earlier version counts any more."""
        self.versions[item_id] = {version}
        self.acknowledged += 1

    def contradictions(self, stored: Mapping[str, Version]) -> list[str]:
        """List the items that are stored and may not be, or that are missing."""
        return [
            f"{item_id}: {stored.get(item_id)}, allowed {sorted(allowed, key=str)}"
            for item_id in sorted({*self.versions, *stored})
            if stored.get(item_id) not in (allowed := self.versions.get(item_id, {None}))
        ]

    def settle(self, stored: dict[str, Version]) -> None:
        """Take the stored versions as acknowledged: they have to stay from now on."""
        self.versions = {item_id: {stored.get(item_id)} for item_id in self.versions}


class Writer:
    """A client that changes items of its own, one request after the other, while its block runs."""

    def __init__(self, url: str, expected: Expected, number: int, dimensions: int, seed: int) -> None:
        self._url = url
        self._expected = expected
        self._name = f"writer-{number}"
        self._dimensions = dimensions
        self._rng = random.Random(seed)
        self._versions = iter(range(seed * 10**6, 10**12))
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> "Writer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _write(self) -> None:
        deeds: tuple[Callable[[httpx.Client], None], ...] = (self._put, self._put, self._delete, self._stream)
        with httpx.Client(base_url=self._url, timeout=60) as client:
            while not self._ended.is_set():
                # A killed server refuses or drops the connection: the change stays under way.
                with suppress(httpx.TransportError):
                    self._rng.choice(deeds)(client)

    def _id(self) -> str:
        return f"{self._name}/{self._rng.randrange(_IDS_EACH)}"

    def _item(self) -> tuple[str, Version, dict[str, object]]:
        item_id, version = self._id(), next(self._versions)
        vector = np.random.default_rng(version).standard_normal(self._dimensions).round(4).tolist()
        self._expected.begin(item_id, version)
        return item_id, version, {"vector": vector, "metadata": {"version": version}}

    def _put(self, client: httpx.Client) -> None:
        item_id, version, body = self._item()
        if client.put(f"/v1/items/{item_id}", json=body).status_code == 200:
            self._expected.acknowledge(item_id, version)

    def _delete(self, client: httpx.Client) -> None:
        item_id = self._id()
        self._expected.begin(item_id, None)
        if client.delete(f"/v1/items/{item_id}").status_code in (204, 404):
            self._expected.acknowledge(item_id, None)

    def _stream(self, client: httpx.Client) -> None:
        items = [self._item() for _ in range(self._rng.randint(1, _MOST_IN_STREAM))]
        body = b"\n".join(orjson.dumps({"id": item_id, **item}) for item_id, _, item in items)
        last = {item_id: place for place, (item_id, _, _) in enumerate(items)}
        with client.stream("POST", "/v1/items", content=body, headers=_NDJSON) as answer:
            for line in map(orjson.loads, answer.iter_lines()):
                if line.get("status") == "ok":
                    item_id, version, _ = items[line["index"]]
                    # A later line of the same stream may have replaced it already.
                    if last[item_id] == line["index"]:
                        self._expected.acknowledge(item_id, version)


def stored(url: str) -> dict[str, Version]:
    """Read the version of every item of the index, and check that its vector is whole."""
    found: dict[str, Version] = {}
    after = ""
    with httpx.Client(base_url=url, timeout=60) as client:
        while True:
            answer = (
                client.get("/v1/items", params={"limit": _PAGE, "after": after}).raise_for_status().json()
            )
            found |= {item["id"]: item["metadata"]["version"] for item in answer["items"]}
            if (after := answer["next"]) is None:
                return found


def postgres(server: Server) -> psutil.Process:
    """Find the processes of the embedded PostgreSQL."""
    (process,) = (child for child in psutil.Process(server.pid).children() if child.name() == "postgres")
    return process


def kill_server(server: Server, _rng: random.Random) -> None:
    server.kill()


def kill_postgres(server: Server, _rng: random.Random) -> None:
    postgres(server).kill()


def kill_both(server: Server, _rng: random.Random) -> None:
    postgres(server).kill()
    server.kill()


def kill_part_of_postgres(server: Server, rng: random.Random) -> None:
    rng.choice(postgres(server).children()).kill()


def kill_worker(server: Server, rng: random.Random) -> None:
    rng.choice(server.workers()).kill()


KILLS: dict[str, Callable[[Server, random.Random], None]] = {
    "server": kill_server,
    "postgres": kill_postgres,
    "server and postgres": kill_both,
    "a process of postgres": kill_part_of_postgres,
    "a worker": kill_worker,
}


class Rounds:
    """Rounds over one data folder.

    Attributes:
        expected: versions that the index has to hold.
    """

    def __init__(self, models: Path, folder: Path, seed: int) -> None:
        self.expected = Expected()
        self._models = models
        self._folder = folder
        self._rng = random.Random(seed)
        self._dimensions = open_artefact(models / "tiny" / "1").card.shapes.embedding
        self._server = self._start()

    def close(self) -> None:
        self._server.clean_up()

    def run(self, kill: str) -> list[str]:
        """Write, kill, wait until the service is ready again; return the wrong items."""
        with self._writers():
            sleep(self._rng.uniform(0, _LONGEST_ROUND_SECONDS))
            with suppress(psutil.NoSuchProcess):
                KILLS[kill](self._server, self._rng)
        if self._server.process.poll() is None:
            wait_for(self._server.is_ready, self._server)
        else:
            self._server = self._start()
        found = stored(self._server.url)
        wrong = self.expected.contradictions(found)
        self.expected.settle(found)
        return wrong

    @contextmanager
    def _writers(self) -> Iterator[None]:
        seeds = [self._rng.randrange(10**5) for _ in range(_WRITERS)]
        writers = [
            Writer(self._server.url, self.expected, number, self._dimensions, seed)
            for number, seed in enumerate(seeds)
        ]
        for writer in writers:
            writer.__enter__()
        try:
            yield
        finally:
            for writer in writers:
                writer.__exit__()

    def _start(self) -> Server:
        return Server(self._models, self._folder, workers=2, log_level="error").wait_until_ready()


def main(
    rounds: Annotated[int, typer.Option(min=1)] = 20,
    seed: Annotated[int, typer.Option(help="Of everything that is random.")] = 0,
) -> None:
    """Kill in turn, write the result, and fail where something is lost."""
    lost: list[str] = []
    began = perf_counter()
    with tempfile.TemporaryDirectory(prefix="infomax-kills-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        build_tiny_model(folder / "models")
        run = Rounds(folder / "models", folder / "run", seed)
        try:
            for number in range(rounds):
                kill = list(KILLS)[number % len(KILLS)]
                wrong = run.run(kill)
                lost += wrong
                acknowledged = run.expected.acknowledged
                sys.stdout.write(
                    f"round {number + 1}: {kill}, {acknowledged} acknowledged, {len(wrong)} wrong\n"
                )
                sys.stdout.flush()
        finally:
            run.close()
    report = {
        "rounds": rounds,
        "seconds": round(perf_counter() - began, 1),
        "acknowledged": run.expected.acknowledged,
        "wrong": lost[:20],
    }
    sys.stdout.write(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode() + "\n")
    if lost:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
