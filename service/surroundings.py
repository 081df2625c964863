"""What surrounds every request: its id, its place in metrics and log, and what happens when it fails.

Pure ASGI: nothing is buffered, and the request stays in its task.
"""

import asyncio
import logging
from random import Random
from time import perf_counter

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.admission import shutting_down
from service.errors import problem
from service.logs import REQUEST_ID
from service.metrics import REQUEST_SECONDS, REQUESTS
from service.runtime import Runtime, let_go, served_by
from service.slow_bodies import ImpatientBody

logger = logging.getLogger(__name__)

OBSERVED = frozenset({"/livez", "/readyz", "/metrics", "/version"})
"""Routes that are asked about the service, often and by machines: answered to the end, logged at debug."""

# For what is no page: a browser that is made to show it as one loads and runs nothing.
_NO_PAGE = "default-src 'none'; frame-ancestors 'none'"
_LONGEST_ID = 128
# An id is no secret. To ask the system for each would let go of the interpreter lock, and wait for it.
_IDS = Random()  # noqa: S311
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER = "other"
# nginx's status for a client that did not wait for its answer; it is counted and never sent.
_CLIENT_LEFT = 499
# The rest of the body would have to be waited for before the connection could be used again.
_TOO_SLOW = 408


class Surroundings:
    """The outermost middleware of the application."""

    def __init__(self, app: ASGIApp, runtime: Runtime) -> None:
        self._app = app
        self._runtime = runtime

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send, self._runtime)
        try:
            if scope["path"] in OBSERVED:
                await exchange.answer(self._app)
            elif self._runtime.traffic.closed:
                await exchange.refuse(shutting_down())
            else:
                with self._runtime.traffic.passing():
                    await exchange.answer(self._app)
        finally:
            exchange.record()
            let_go(scope["state"])


class _Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, runtime: Runtime) -> None:
        self._scope = scope
        self._receive = receive
        self._body = ImpatientBody(receive, runtime.settings.client_seconds)
        self._send = send
        self._runtime = runtime
        self._arrived = perf_counter()
        self._id = _request_id(scope)
        # The task is the request's own (uvicorn makes one for each): the variable needs no reset, and what
        # the server logs of a broken answer carries the id as well.
        REQUEST_ID.set(self._id)
        scope.setdefault("state", {})["request_id"] = self._id
        self._status: int | None = None

    async def answer(self, app: ASGIApp) -> None:
        """Run the application; whatever it raises becomes an answer while there is none yet."""
        try:
            await app(self._scope, self._body.receive, self.send)
        except ClientDisconnect:
            logger.debug("the client went away before it had sent everything")
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or self._status is not None or not self._runtime.traffic.closed:
                raise
            # The drain is over, and the server ends what still runs.
            task.uncancel()
            await self.refuse(shutting_down())
        except Exception as error:
            if self._status is not None:
                # The server breaks the connection off, and logs why. Half an answer is no success.
                self._status = 500
                raise
            logger.exception("%s %s failed", self._scope["method"], self._scope["path"])
            await self.refuse(error)

    async def refuse(self, error: Exception) -> None:
        """Answer with a problem."""
        await problem(error, self._id)(self._scope, self._receive, self.send)

    async def send(self, message: Message) -> None:
        """Pass the answer on, with the headers that every answer has."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._add_headers(MutableHeaders(scope=message))
        await self._send(message)

    def record(self) -> None:
        """Count and log the request."""
        seconds = perf_counter() - self._arrived
        status = self._status or _CLIENT_LEFT
        route = getattr(self._scope.get("route"), "path_format", _OTHER)
        method = self._scope["method"]
        REQUESTS.labels(route, method if method in _METHODS else _OTHER, status).inc()
        REQUEST_SECONDS.labels(route).observe(seconds)
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
            if key := self._scope["state"].get("key"):
                # Its name; what it is was never kept.
                fields["key"] = key
            logger.log(level, "%s %s %d", method, self._scope["path"], status, extra=fields)

    def _add_headers(self, headers: MutableHeaders) -> None:
        headers["X-Request-Id"] = self._id
        headers["X-Content-Type-Options"] = "nosniff"
        headers["X-Frame-Options"] = "DENY"
        headers["Referrer-Policy"] = "no-referrer"
        headers.setdefault("Content-Security-Policy", _NO_PAGE)
        headers.setdefault("Cache-Control", "no-store")
        if self._scope["path"].startswith("/v1/"):
            served = served_by(self._scope["state"])
            if served is not None:
                headers["X-Model"] = served.id
            pipeline = (served or self._runtime.models.default).pipeline
            headers["X-Execution-Provider"] = pipeline.report.summary
        if self._runtime.traffic.closed or self._status == _TOO_SLOW:
            headers["Connection"] = "close"


def _request_id(scope: Scope) -> str:
    """The id that the client chose, if it is printable ASCII of 1 to 128 characters, or a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            text = str(value, "latin-1")
            if 1 <= len(text) <= _LONGEST_ID and text.isascii() and text.isprintable():
                return text
    return f"{_IDS.getrandbits(128):032x}"
