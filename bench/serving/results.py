"""What a run of the benchmark found, and its JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from bench.serving.limit import Limit


@dataclass(frozen=True)
class Measurement:
    """One scenario on one server, once.

    Attributes:
        contender, scenario, repetition: which.
        rate: images answered rightly per second.
        p50_ms, p99_ms: of one request; None where a request is a whole stream.
        errors: requests that failed, images in a stream that did.
        client_cores, server_cores, other_cores: cores in use on the average, by who loaded, by who answered
            and by whatever else ran on the machine: where that is much, the figures say little.
        memory_mib: resident memory of all the server's processes at the end; shared pages count for each.
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
    """A median with the least and the greatest of what it is the median of."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(median(values), min(values), max(values))


@dataclass
class Results:
    """Everything that one run found.

    Attributes:
        machine, model, options: on what, with what and how it was measured.
        layouts: what each server was told.
        skipped: why a server was not measured, or not to the end.
        limits: one for each repetition.
    """

    machine: dict[str, object]
    model: dict[str, object]
    options: dict[str, object]
    layouts: dict[str, str]
    skipped: dict[str, str] = field(default_factory=dict)
    limits: list[Limit] = field(default_factory=list)
    measurements: list[Measurement] = field(default_factory=list)

    def of(self, contender: str, scenario: str) -> list[Measurement]:
        """The repetitions of one scenario on one server."""
        return [one for one in self.measurements if (one.contender, one.scenario) == (contender, scenario)]

    def scenarios(self) -> list[str]:
        """In the order in which they were measured."""
        return list(dict.fromkeys(one.scenario for one in self.measurements))

    def contenders(self, scenario: str) -> list[str]:
        """Who took part in a scenario, in order."""
        return list(dict.fromkeys(one.contender for one in self.measurements if one.scenario == scenario))

    def disturbance(self) -> float:
        """The most that anything else used of the cores during a measurement."""
        return max((one.other_cores for one in self.measurements), default=0.0)

    def limit(self, images: str) -> Spread:
        """The limit of an image set, images per second."""
        return Spread.of([limit.rate(images) for limit in self.limits])

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")


def read(path: Path) -> Results:
    """What `write` wrote."""
    members = json.loads(path.read_text())
    members["limits"] = [Limit(**limit) for limit in members["limits"]]
    members["measurements"] = [Measurement(**one) for one in members["measurements"]]
    return Results(**members)
