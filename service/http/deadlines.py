"""The header X-Request-Timeout-Ms: a client says how long it waits, and no longer is worked for it."""

import asyncio
import reprlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import wraps

from fastapi import Request
from starlette.responses import Response

from service.errors import ServiceError
from service.http.request_context import context_of
from service.inference.deadline import Deadline
from service.inputs.parameters import refused

HEADER = "X-Request-Timeout-Ms"
LONGEST_MS = 600_000

Route = Callable[[Request], Awaitable[Response]]


def within_deadline(route: Route) -> Route:
    """Let a route work until its client's deadline, if the client has one, and then cancel it.

    The time runs from here on, so it includes the reading of the body.

    Raises:
        ServiceError: 504 `deadline_exceeded`; 422 `invalid_parameter` for a header that is not a time.
    """

    @wraps(route)
    async def bounded(request: Request) -> Response:
        text = request.headers.get(HEADER)
        if text is None:
            return await route(request)
        with until(request, _milliseconds(text) / 1000, HEADER):
            return await route(request)

    return bounded


@contextmanager
def until(request: Request, seconds: float, asked_by: str) -> Iterator[None]:
    """Give the request a deadline so many seconds from now, and cancel what runs in here when it has passed.

    Args:
        request: one that the current task answers.
        seconds: how long the client waits.
        asked_by: the header or parameter that set it, for the refusal.

    Raises:
        ServiceError: 504 `deadline_exceeded`.
    """
    deadline = Deadline(seconds)
    context_of(request).deadline = deadline
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 (a coroutine runs in a task)

    def end() -> None:
        deadline.passed = True
        task.cancel()

    timer = asyncio.get_running_loop().call_later(deadline.remaining, end)
    try:
        yield
    except asyncio.CancelledError:
        if not deadline.passed:
            raise
        task.uncancel()
        raise _exceeded(deadline, asked_by) from None
    finally:
        timer.cancel()


def deadline_of(request: Request) -> Deadline | None:
    """The deadline of a request; None where the client has none, or the route takes none."""
    return context_of(request).deadline


def _milliseconds(text: str) -> int:
    # As many digits as the limit has: no number is so long that reading it is work.
    if text.isascii() and text.isdecimal() and len(text) <= len(str(LONGEST_MS)):
        number = int(text)
        if 1 <= number <= LONGEST_MS:
            return number
    raise refused(
        f"{HEADER}={reprlib.repr(text)} is not allowed: it is a whole number of milliseconds "
        f"from 1 to {LONGEST_MS:,}.",
        LONGEST_MS,
    )


def _exceeded(deadline: Deadline, asked_by: str) -> ServiceError:
    return ServiceError(
        504,
        "deadline_exceeded",
        f"The answer was not ready within the {1000 * deadline.seconds:.0f} ms of {asked_by}. Allow it more "
        "time, or send fewer images in one request.",
    )
