"""What surrounds every request: its id, its place in metrics and log, and what happens when it fails.

Pure ASGI: nothing is buffered, and the request stays in its task.
"""

import asyncio
import logging
from collections.abc import Iterable, Iterator
from functools import cache
from random import Random
from time import perf_counter
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import tracing
from service.errors import ServiceError, refusal
from service.http.body_timeout import TimedBody
from service.http.cross_origin import OriginPolicy
from service.http.in_flight import InFlight
from service.http.request_context import begin_context
from service.inference.admission import shutting_down
from service.logs import REQUEST_ID
from service.metrics import REQUEST_SECONDS, REQUESTS
from service.models.registry import ModelRegistry

if TYPE_CHECKING:
    from opentelemetry.trace import Span

logger = logging.getLogger(__name__)

# To find a metric by its labels takes longer than to count.
_requests = cache(REQUESTS.labels)
_request_seconds = cache(REQUEST_SECONDS.labels)

OBSERVED = frozenset({"/livez", "/readyz", "/metrics", "/version", "/v2/health/live", "/v2/health/ready"})
"""Routes that are asked about the service, often and by machines: answered to the end, logged at debug."""

Header = tuple[bytes, bytes]

_ALWAYS: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
)
_UNLESS_GIVEN: tuple[Header, ...] = (
    # For all but pages: a browser that is made to show one of them as a page loads and runs nothing.
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)
_ANSWERED_BY_MODELS = ("/v1/", "/v2/")
_LONGEST_ID = 128
# Ids are not secret. To ask the system for each would let go of the interpreter lock, and wait for it.
_IDS = Random()  # noqa: S311
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER = "other"
# nginx's status for a client that did not wait for its answer; it is counted and never sent.
_CLIENT_LEFT = 499
# The rest of the body would have to be waited for before the connection could be used again.
_TOO_SLOW = 408


class RequestMiddleware:
    """The outermost middleware of the application."""

    def __init__(
        self,
        app: ASGIApp,
        in_flight: InFlight,
        models: ModelRegistry,
        origins: OriginPolicy,
        client_seconds: float,
        root_path: str,
    ) -> None:
        """Surround an application.

        Args:
            app: the application.
            in_flight: counts requests, and refuses them when it is closed.
            models: name the model and provider in the headers of an answer.
            origins: let web pages read answers.
            client_seconds: the setting of that name.
            root_path: the setting of that name.
        """
        self._app = app
        self._origins = origins
        self._in_flight = in_flight
        self._models = models
        self._client_seconds = client_seconds
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = TimedBody(scope, receive, self._client_seconds)
        app = _below(self._root_path, scope, self._app) if self._root_path else self._app
        exchange = _Exchange(scope, body, send, self._in_flight, self._models, self._origins)
        if scope["path"] in OBSERVED:
            try:
                await exchange.answer(app)
            finally:
                exchange.end()
            return
        with tracing.request(scope["method"], scope["path"], scope["headers"]) as span:
            try:
                if self._in_flight.closed:
                    await exchange.refuse(shutting_down())
                else:
                    with self._in_flight.passing():
                        await exchange.answer(app)
            finally:
                exchange.end(span)


class _Exchange:
    """One request and its answer."""

    def __init__(
        self,
        scope: Scope,
        body: TimedBody,
        send: Send,
        in_flight: InFlight,
        models: ModelRegistry,
        origins: OriginPolicy,
    ) -> None:
        self._scope = scope
        self._body = body
        self._send = send
        self._in_flight = in_flight
        self._models = models
        self._origins = origins
        self._arrived = perf_counter()
        self._id = _request_id(scope)
        # The task is the request's own (uvicorn makes one for each): the variable needs no reset, and what
        # the server logs of a broken answer carries the id as well.
        REQUEST_ID.set(self._id)
        self.context = begin_context(scope, self._id)
        self._status: int | None = None

    async def answer(self, app: ASGIApp) -> None:
        """Run the application; what it raises becomes the answer where none was begun."""
        try:
            await app(self._scope, self._body.receive, self.send)
        except ClientDisconnect:
            logger.debug("the client went away before it had sent everything")
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or self._status is not None or not self._in_flight.closed:
                raise
            # The drain is over, and the server ends what still runs.
            task.uncancel()
            await self.refuse(shutting_down())
        except Exception as error:
            if self._status is not None:
                # The server breaks the connection off, and logs why. Half an answer counts as a failure.
                self._status = 500
                raise
            if not isinstance(error, ServiceError):
                logger.exception("%s %s failed", self._scope["method"], self._scope["path"])
            await self.refuse(error)

    async def refuse(self, error: Exception) -> None:
        """Answer with a refusal."""
        await refusal(error, self._scope)(self._scope, self._body.receive, self.send)

    async def send(self, message: Message) -> None:
        """Pass the answer on, with the headers that every answer has."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            message["headers"] = [*message["headers"], *self._headers(message["headers"])]
        await self._send(message)

    def end(self, span: "Span | None" = None) -> None:
        """Count and log the request, and let go of what it used."""
        try:
            self._record(span)
        finally:
            self.context.release()

    def _record(self, span: "Span | None") -> None:
        seconds = perf_counter() - self._arrived
        status = self._status or _CLIENT_LEFT
        route = getattr(self._scope.get("route"), "path_format", _OTHER)
        method = self._scope["method"]
        trace_id = None if span is None else tracing.end_request(span, method, route, status)
        _requests(route, method if method in _METHODS else _OTHER, status).inc()
        _request_seconds(route).observe(seconds)
        level = logging.DEBUG if route in OBSERVED else logging.INFO
        if logger.isEnabledFor(level):
            client = self._scope.get("client")
            fields = {
                "method": method,
                "path": self._scope["path"],
                "route": route,
                "status": status,
                "seconds": round(seconds, 6),
                "client": client[0] if client else None,
            }
            if (key := self.context.key) is not None:
                # Its name; what it is was never kept.
                fields["key"] = key.id
            if trace_id is not None:
                fields["trace_id"] = trace_id
            logger.log(level, "%s %s %d", method, self._scope["path"], status, extra=fields)

    def _headers(self, given: Iterable[Header]) -> Iterator[Header]:
        """Those that every answer has, behind those that it was given."""
        yield b"x-request-id", self._id.encode()
        yield from _ALWAYS
        yield from self._origins.fields(self._scope["headers"])
        names = dict(given)
        for header in _UNLESS_GIVEN:
            if header[0] not in names:
                yield header
        if self._scope["path"].startswith(_ANSWERED_BY_MODELS):
            served = self.context.served
            if served is not None:
                yield b"x-model", served.id.encode()
            pipeline = (served or self._models.default).pipeline
            yield b"x-execution-provider", pipeline.report.summary.encode()
        if self._in_flight.closed or self._status == _TOO_SLOW:
            yield b"connection", b"close"


def _below(root_path: str, scope: Scope, app: ASGIApp) -> ASGIApp:
    """Take the root path off the request's path, if a proxy has not done so.

    Returns:
        What answers: the application, or for the root path itself a redirect, since links are relative.
    """
    path = scope["path"]
    if path == root_path:
        return RedirectResponse(f"{root_path}/")
    if path.startswith(f"{root_path}/"):
        scope["path"] = path[len(root_path) :]
    return app


def _request_id(scope: Scope) -> str:
    """The id that the client chose, if it is printable ASCII of 1 to 128 characters, or a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            text = str(value, "latin-1")
            if 1 <= len(text) <= _LONGEST_ID and text.isascii() and text.isprintable():
                return text
    return f"{_IDS.getrandbits(128):032x}"
