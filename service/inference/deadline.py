"""When a client stops waiting, where it has said so."""

from dataclasses import dataclass, field
from time import perf_counter


@dataclass(slots=True, eq=False)
class Deadline:
    """How long an answer is of use to a client.

    Attributes:
        seconds: what the client allows, from its request's arrival on.
        at: when they are over, by `perf_counter`.
        passed: they are over, and what was done for the client is being cancelled.
    """

    seconds: float
    at: float = field(init=False)
    passed: bool = False

    def __post_init__(self) -> None:
        self.at = perf_counter() + self.seconds

    @property
    def remaining(self) -> float:
        """Seconds that are left; negative once they are over."""
        return self.at - perf_counter()
