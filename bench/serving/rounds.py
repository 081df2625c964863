"""Rounds of measurements: every server once, then every server again, and so on.

Drift (a warm processor, other programs) meets all servers alike. Each server starts anew in every round and
has the machine to itself.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.serving import limit, load, streams
from bench.serving.contenders import OURS, Contender
from bench.serving.correct import check
from bench.serving.images import ImageSet
from bench.serving.meter import Meter
from bench.serving.model import BenchModel, cores
from bench.serving.results import Measurement, Results
from bench.serving.running import Running, ServerError, running

IDLE = "small, one at a time"
# Few of the large images, so that the check stays short.
_CHECKED = 64


@dataclass(frozen=True)
class Options:
    """Options of a run.

    Attributes:
        repetitions: number of rounds.
        seconds: duration of each load.
        short_seconds: duration of warm-up, of single requests, and of each rate of the limit.
        connections: connections that load a server at the same time.
        stream_images: small images that all clients of a stream send together.
        stream_photographs: large images that all clients of a stream send together.
        stream_clients: numbers of clients that send streams.
        forms: answer formats of streams, of `streams.FORMS`.
    """

    repetitions: int = 3
    seconds: float = 5.0
    short_seconds: float = 2.0
    connections: int = 64
    stream_images: int = 10_000
    stream_photographs: int = 480
    stream_clients: tuple[int, ...] = (1, 4)
    forms: tuple[str, ...] = tuple(streams.FORMS)


def scenario(images: str, connections: int) -> str:
    """Name a scenario of single requests."""
    return f"{images}, {connections} connections"


def stream_scenario(images: str, form: str, clients: int) -> str:
    """Name a scenario of streams."""
    return f"stream of {images}, {form}, {clients} client{'s' if clients > 1 else ''}"


class Rounds:
    """All measurements of one model."""

    def __init__(
        self, model: BenchModel, sets: tuple[ImageSet, ...], options: Options, results: Results
    ) -> None:
        """Take the image sets; single requests and streams use the first."""
        self._model = model
        self._sets = sets
        self._options = options
        self._results = results
        self._expected = {one.name: model.embeddings(one.files[:_CHECKED]) for one in sets}

    def run(self, contenders: tuple[Contender, ...], step: Callable[[str], None]) -> None:
        """Measure; `step` is called before each server, `steps` times in all."""
        files = {one.name: one.files for one in self._sets}
        for repetition in range(self._options.repetitions):
            step("the limit")
            self._results.limits.append(
                limit.measure(self._model, files, cores(), self._options.short_seconds)
            )
            for contender in contenders:
                step(contender.name)
                if contender.name in self._results.skipped:
                    continue
                try:
                    self._measure(contender, repetition)
                except ServerError as error:
                    self._results.skipped[contender.name] = str(error)

    def steps(self, contenders: tuple[Contender, ...]) -> int:
        return self._options.repetitions * (1 + len(contenders))

    def _measure(self, contender: Contender, repetition: int) -> None:
        first = self._sets[0]
        with running(contender, self._model, contender.request(first.files[0])) as server:
            for one in self._sets:
                self._check(contender, server, one.files[:_CHECKED], self._expected[one.name])
            for one in self._sets:
                with load.written([contender.request(file) for file in one.files]) as requests:
                    self._load(contender, server, repetition, one.name, requests)
            if contender.name == OURS:
                for one in self._sets:
                    self._streams(server, repetition, one)

    def _check(
        self, contender: Contender, server: Running, files: tuple[bytes, ...], expected: NDArray[np.float32]
    ) -> None:
        check(contender, server.port, files, expected, self._model.tolerance)

    def _load(
        self, contender: Contender, server: Running, repetition: int, images: str, requests: list[Path]
    ) -> None:
        connections, first = self._options.connections, images == self._sets[0].name
        if first:
            load.run(server.port, requests, connections, self._options.short_seconds)
        names = {scenario(images, connections): (connections, self._options.seconds)}
        names |= {IDLE: (1, self._options.short_seconds)} if first else {}
        for name, (count, seconds) in names.items():
            meter = Meter(server)
            found = load.run(server.port, requests, count, seconds)
            used = meter.read(found.cpu_seconds)
            self._results.measurements.append(
                Measurement(
                    contender.name,
                    name,
                    repetition,
                    found.rate,
                    found.p50_ms,
                    found.p99_ms,
                    found.errors,
                    used.client,
                    used.server,
                    used.others,
                    server.memory_bytes() / 2**20,
                )
            )

    def _streams(self, server: Running, repetition: int, images: ImageSet) -> None:
        options, first = self._options, images is self._sets[0]
        count = options.stream_images if first else options.stream_photographs
        for clients in options.stream_clients:
            each = count // clients
            with _archive(images.files, each) as path:
                # The format matters where an image costs little in comparison with its answer.
                for form in options.forms if first else options.forms[:1]:
                    with streams.ready(server.port, clients, form, path) as send:
                        meter = Meter(server)
                        found = send()
                        used = meter.read(found.cpu_seconds)
                    self._results.measurements.append(
                        Measurement(
                            OURS,
                            stream_scenario(images.name, form, clients),
                            repetition,
                            found.images / found.seconds,
                            None,
                            None,
                            each * clients - found.images,
                            used.client,
                            used.server,
                            used.others,
                            server.memory_bytes() / 2**20,
                        )
                    )


@contextmanager
def _archive(files: tuple[bytes, ...], count: int) -> Iterator[Path]:
    with tempfile.NamedTemporaryFile(suffix=".tar") as file:
        file.write(streams.tar(files, count))
        file.flush()
        yield Path(file.name)
