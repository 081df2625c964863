"""Deadline of a request, where its client has set one."""

from dataclasses import dataclass, field
from time import perf_counter


@dataclass(slots=True, eq=False)
class Deadline:
    """Deadline of a request, from the moment that it is made.

    Attributes:
        seconds: seconds that the client allows.
        at: time of the deadline, by `perf_counter`.
        passed: set when the deadline has passed and the request is cancelled for it.
    """

    seconds: float
    at: float = field(init=False)
    passed: bool = False

    def __post_init__(self) -> None:
        self.at = perf_counter() + self.seconds

    @property
    def remaining(self) -> float:
        """Seconds that are left; negative after the deadline."""
        return self.at - perf_counter()
