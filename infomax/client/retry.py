"""Repetition of requests that failed for now: exponential waits with jitter, `Retry-After`, deadlines."""

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    Retrying,
    retry_if_exception,
    wait_combine,
    wait_exponential,
    wait_random,
)

from infomax.client.errors import RequestRefusedError, is_temporary

_log = logging.getLogger("infomax.client")
# Clients that were told the same wait come back spread over this share of it.
_SPREAD = 0.1


@dataclass(frozen=True)
class Retry:
    """Rule for requests that failed for now.

    Attributes:
        seconds: most seconds to wait in all, for one request or one chunk of a batch. 0: no repetition.
        first_wait: seconds before the first repetition; each further wait is twice as long, with jitter.
        longest_wait: most seconds of one wait where the service names none.
        longest_retry_after: a `Retry-After` of more seconds is not waited for: the refusal is raised.
    """

    seconds: float = 120.0
    first_wait: float = 0.2
    longest_wait: float = 10.0
    longest_retry_after: float = 60.0

    def blocking(
        self, deadline: float | None, sleep: Callable[[float], None], stopped: Callable[[], bool]
    ) -> Retrying:
        """Make the loop of a thread; `deadline` is a time of `time.monotonic`."""
        return Retrying(sleep=sleep, **self._rules(deadline, stopped))

    def asynchronous(self, deadline: float | None) -> AsyncRetrying:
        """Make the loop of a task."""
        return AsyncRetrying(**self._rules(deadline, lambda: False))

    def _rules(self, deadline: float | None, stopped: Callable[[], bool]) -> dict[str, Any]:
        backoff = wait_combine(
            wait_exponential(multiplier=self.first_wait, max=self.longest_wait),
            wait_random(0, self.first_wait),
        )

        def wait(state: RetryCallState) -> float:
            asked = _asked(state)
            return backoff(state) if asked is None else asked * (1 + _SPREAD * random.random())  # noqa: S311

        def stop(state: RetryCallState) -> bool:
            asked, coming = _asked(state), state.upcoming_sleep
            return (
                stopped()
                or state.idle_for + coming > self.seconds
                or (asked is not None and asked > self.longest_retry_after)
                or (deadline is not None and monotonic() + coming > deadline)
            )

        return {
            "retry": retry_if_exception(is_temporary),
            "wait": wait,
            "stop": stop,
            "before_sleep": _tell,
            "reraise": True,
        }


def _asked(state: RetryCallState) -> float | None:
    """Return the seconds that the service asks to wait."""
    error = state.outcome.exception() if state.outcome is not None else None
    return error.retry_after if isinstance(error, RequestRefusedError) else None


def _tell(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome is not None else None
    _log.warning("%s Trying again in %.1f s.", error, state.upcoming_sleep)
