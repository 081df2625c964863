"""Results of a run, and their JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from bench.serving.limit import Limit


@dataclass(frozen=True)
class Measurement:
    """Measurement of one scenario on one server in one repetition.

    Attributes:
        contender: name of the server.
        scenario: name of the scenario.
        repetition: number of the repetition.
        rate: images answered correctly per second.
        p50_ms: median latency of a request; None where a request is a whole stream.
        p99_ms: 99th percentile of the latency; None where a request is a whole stream.
        errors: requests that failed, or images of a stream that failed.
        client_cores: average number of cores that the load used.
        server_cores: average number of cores that the server used.
        other_cores: average number of cores that other programs used. Where that is much, the figures say
            little.
        memory_mib: resident memory of all processes of the server at the end; shared pages count for each.
    """

    contender: str
    scenario: str
    repetition: int
    rate: float
    p50_ms: float | None
    p99_ms: float | None
    errors: int
    client_cores: float
    server_cores: float
    other_cores: float
    memory_mib: float


@dataclass(frozen=True)
class Spread:
    """Median with the least and the greatest value."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(median(values), min(values), max(values))


@dataclass
class Results:
    """Results of one run.

    Attributes:
        machine: machine of the measurement.
        model: model of the measurement.
        options: options of the measurement.
        layouts: configuration of each server.
        skipped: reasons why a server was not measured, or not to the end.
        limits: one limit for each repetition.
    """

    machine: dict[str, object]
    model: dict[str, object]
    options: dict[str, object]
    layouts: dict[str, str]
    skipped: dict[str, str] = field(default_factory=dict)
    limits: list[Limit] = field(default_factory=list)
    measurements: list[Measurement] = field(default_factory=list)

    def of(self, contender: str, scenario: str) -> list[Measurement]:
        """Return the repetitions of one scenario on one server."""
        return [one for one in self.measurements if (one.contender, one.scenario) == (contender, scenario)]

    def scenarios(self) -> list[str]:
        """List the scenarios in the order of their measurement."""
        return list(dict.fromkeys(one.scenario for one in self.measurements))

    def contenders(self, scenario: str) -> list[str]:
        """List the servers of a scenario, in order."""
        return list(dict.fromkeys(one.contender for one in self.measurements if one.scenario == scenario))

    def disturbance(self) -> float:
        """Return the most cores that other programs used during a measurement."""
        return max((one.other_cores for one in self.measurements), default=0.0)

    def limit(self, images: str) -> Spread:
        """Return the limit of an image set, in images per second."""
        return Spread.of([limit.rate(images) for limit in self.limits])

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")


def read(path: Path) -> Results:
    """Read what `write` wrote."""
    members = json.loads(path.read_text())
    members["limits"] = [Limit(**limit) for limit in members["limits"]]
    members["measurements"] = [Measurement(**one) for one in members["measurements"]]
    return Results(**members)
