"""What both clients share of a connection: its settings, and errors of httpx in the client's own terms."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import httpx

from infomax.client.calls import Call
from infomax.client.errors import (
    ClientError,
    DeadlineExceededError,
    RequestRefusedError,
    ServiceUnreachableError,
)
from infomax.client.retry import Retry
from infomax.client.trace_context import trace_headers

_CONNECT_SECONDS = 10.0
_MOST_MILLISECONDS = 600_000
# The service answers in order, so an image may wait for all that came before it.
_STREAM_SILENCE_SECONDS = 300.0


@dataclass(frozen=True)
class ClientOptions:
    """ClientOptions of a client.

    Attributes:
        url: address of the service.
        api_key: sent as a bearer token.
        timeout: seconds for one request with its repetitions; None for no limit. Batches have their own.
        retry: what is done about requests that failed for now.
        concurrency: most requests of one batch at a time.
        max_image_bytes: a larger file is not read.
    """

    url: str
    api_key: str | None = field(default=None, repr=False)
    timeout: float | None = 60.0
    retry: Retry = field(default_factory=Retry)
    concurrency: int = 4
    max_image_bytes: int = 64 * 2**20

    def __post_init__(self) -> None:
        if self.concurrency < 1:
            raise ValueError(f"concurrency={self.concurrency} is not allowed. It is 1 or more.")

    def http(self) -> dict[str, Any]:
        """Arguments of `httpx.Client` and `httpx.AsyncClient`."""
        headers = {"Accept-Encoding": "identity"}
        if self.api_key is not None:
            headers["Authorization"] = f"Bearer {self.api_key}"
        return {
            "base_url": self.url.rstrip("/"),
            "headers": headers,
            "limits": httpx.Limits(max_connections=None, max_keepalive_connections=64),
        }

    def deadline(self, timeout: float | None) -> float | None:
        """Return the time of `time.monotonic` at which a request of so many seconds ends."""
        return None if timeout is None else monotonic() + timeout


def request_arguments(call: Call[Any], deadline: float | None) -> dict[str, Any]:
    """Arguments of `httpx.Client.request` for the next try of a call.

    Raises:
        DeadlineExceededError: no time is left.
    """
    left = time_left(deadline)
    headers = {**trace_headers(), **call.headers}
    if left is not None:
        headers["X-Request-Timeout-Ms"] = str(max(1, min(_MOST_MILLISECONDS, int(left * 1000))))
    return {
        "method": call.method,
        "url": call.path,
        "params": dict(call.query),
        "headers": headers,
        "content": call.content,
        "files": call.parts,
        "timeout": httpx.Timeout(left, connect=_shorter(left, _CONNECT_SECONDS)),
    }


def stream_timeout(deadline: float | None) -> httpx.Timeout:
    """Return the timeouts of a chunk of a batch."""
    left = time_left(deadline)
    return httpx.Timeout(_shorter(left, _STREAM_SILENCE_SECONDS), connect=_shorter(left, _CONNECT_SECONDS))


def time_left(deadline: float | None) -> float | None:
    """Return the seconds until a deadline.

    Raises:
        DeadlineExceededError: there are none.
    """
    if deadline is None:
        return None
    left = deadline - monotonic()
    if left <= 0:
        raise DeadlineExceededError(
            "The time that the caller allowed is over. Allow more time, or send less."
        )
    return left


@contextmanager
def own_errors(url: str, deadline: float | None) -> Iterator[None]:
    """Raise errors of httpx as errors of this package."""
    try:
        yield
    except (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.InvalidURL) as error:
        raise ClientError(
            f"The address {url!a} cannot be used: {error}. Begin it with http:// or https://."
        ) from error
    except httpx.TimeoutException as error:
        time_left(deadline)
        raise ServiceUnreachableError(f"{url} does not answer in time ({type(error).__name__}).") from error
    except httpx.HTTPError as error:
        raise ServiceUnreachableError(
            f"{url} cannot be reached ({error or type(error).__name__})."
        ) from error


def refusal_of(answer: httpx.Response) -> RequestRefusedError:
    """Read a refusal, whose body has arrived."""
    try:
        body = answer.json()
        code, message = str(body["code"]), str(body.get("detail", ""))
    except (ValueError, KeyError, TypeError):
        body, code, message = {}, f"http_{answer.status_code}", answer.text[:200] or answer.reason_phrase
    return RequestRefusedError(
        answer.status_code,
        code,
        message,
        retry_after=_seconds(body.get("retry_after", answer.headers.get("Retry-After"))),
        limit=body.get("limit"),
        setting=body.get("setting"),
        request_id=body.get("request_id"),
    )


def _seconds(value: object) -> float | None:
    """Read a wait; a date in `Retry-After`, which proxies rarely write, counts as none."""
    try:
        return max(0.0, float(str(value)))
    except ValueError:
        return None


def _shorter(left: float | None, most: float) -> float:
    return most if left is None else min(left, most)
