"""Rounds: write, kill, compare."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import TypeVar

import httpx
import psutil
import psycopg

from bench.kill_rounds.expected import Expected
from bench.kill_rounds.kills import KILLS
from bench.kill_rounds.stored import images, stored, torn
from bench.kill_rounds.writer import Writer
from contract.artefact import open_artefact
from service.index.cells import CellGrid
from service.index.running_server import running_url
from tests.end_to_end.server import Server, wait_for

_WRITERS = 3
_LONGEST_ROUND_SECONDS = 2.0
# A machine with other work may take long; what never comes back is a failure too.
_PATIENCE_SECONDS = 1800.0
_RETRY_SECONDS = 1.0

T = TypeVar("T")


class Rounds:
    """Rounds over one data folder.

    Attributes:
        expected: versions that the index has to hold.
        restart_seconds: from the latest kill until the service was ready again.
        images: that are stored after the latest round; the other items are bare vectors.
    """

    def __init__(self, models: Path, folder: Path, seed: int) -> None:
        self.expected = Expected()
        self.restart_seconds = 0.0
        self.images = 0
        self._models = models
        self._folder = folder
        self._rng = random.Random(seed)
        card = open_artefact(models / "tiny" / "1").card
        self._dimensions = card.shapes.embedding
        self._cells = CellGrid.of(card).count
        self._server = self._start()

    def close(self) -> None:
        self._server.clean_up()

    def run(self, kill: str) -> list[str]:
        """Write, kill, wait until the service is ready again; return the wrong items."""
        with self._writers():
            sleep(self._rng.uniform(0, _LONGEST_ROUND_SECONDS))
            with suppress(psutil.NoSuchProcess):
                KILLS[kill](self._server, self._rng)
        killed = monotonic()
        if self._server.process.poll() is None:
            wait_for(self._server.is_ready, self._server, _PATIENCE_SECONDS)
        else:
            self._server = self._start()
        self.restart_seconds = monotonic() - killed
        found = _patiently(lambda: stored(self._server.url))
        wrong = self.expected.contradictions(found)
        self.expected.settle(found)
        self.images = _patiently(lambda: images(self._database()))
        return [*wrong, *_patiently(lambda: torn(self._database(), self._cells))]

    def _database(self) -> str:
        url = running_url(self._folder / "data")
        if url is None:
            raise psycopg.OperationalError("the embedded PostgreSQL does not run")
        return url

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
        server = Server(self._models, self._folder, workers=2, log_level="error", index_regions=True)
        return server.wait_until_ready(_PATIENCE_SECONDS)


def _patiently(read: Callable[[], T]) -> T:
    """Read from a service, or its database, that may come back slowly."""
    ends = monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return read()
        except (httpx.HTTPError, psycopg.OperationalError):
            if monotonic() > ends:
                raise
            sleep(_RETRY_SECONDS)
