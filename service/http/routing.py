"""Routing: from method and path to the function that answers.

FastAPI describes the routes, and this module chooses among them. FastAPI's router solves dependencies, and
wraps a route in three layers that turn exceptions into answers. That takes a third of the event loop's time
for a request with one small image. It also takes `/livez%0A` for `/livez`, answers HEAD only where a route
says so, and names the methods of one route where several share a path.
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import ServiceError, refusal

_SHOWN = 100


class _RouteMatch(NamedTuple):
    """A route, and the parameters of the path that led to it."""

    route: APIRoute
    parameters: Mapping[str, str]


class RoutingMiddleware:
    """Innermost middleware: it answers every request, and hands on only what is not a request."""

    def __init__(self, app: ASGIApp, routers: Iterable[APIRouter]) -> None:
        """Read the routes; the function of each takes the request alone.

        Args:
            app: takes the events of the application's life.
            routers: routes that come first are chosen first.
        """
        self._app = app
        self._fixed: dict[str, dict[str, _RouteMatch]] = {}
        self._patterns: list[tuple[re.Pattern[str], APIRoute]] = []
        for router in routers:
            for route in router.routes:
                if not isinstance(route, APIRoute):
                    continue
                if route.param_convertors:
                    # A parameter may hold a line's end too; what reads it refuses it in its own words.
                    self._patterns.append((re.compile(route.path_regex.pattern, re.DOTALL), route))
                else:
                    _add(self._fixed.setdefault(route.path, {}), _RouteMatch(route, {}))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path, method = scope["path"], scope["method"]
        by_method = self._fixed.get(path) or self._matching(path)
        found = by_method.get(method)
        try:
            if found is None:
                if by_method:
                    # By which the request is counted.
                    scope["route"] = next(iter(by_method.values())).route
                raise _no_method(method, path, by_method) if by_method else no_such_route(method, path)
            scope["route"], scope["path_params"] = found
            response = await found.route.endpoint(Request(scope, receive, send))
        except ServiceError as error:
            response = refusal(error, scope)
            if found is None and by_method:
                response.headers["Allow"] = ", ".join(sorted(by_method))
        await response(scope, receive, _without_body(send) if method == "HEAD" else send)

    def _matching(self, path: str) -> dict[str, _RouteMatch]:
        """Find the routes whose pattern is the whole path, by their methods."""
        by_method: dict[str, _RouteMatch] = {}
        for pattern, route in self._patterns:
            if match := pattern.fullmatch(path):
                _add(by_method, _RouteMatch(route, match.groupdict()))
        return by_method


def no_such_route(method: str, path: str) -> ServiceError:
    """Make the refusal of a path that leads nowhere."""
    return ServiceError(
        404, "no_such_route", f"There is no route for {method} {_shown(path)}. GET /docs lists the routes."
    )


def _no_method(method: str, path: str, by_method: Iterable[str]) -> ServiceError:
    allowed = ", ".join(sorted(by_method))
    return ServiceError(405, "method_not_allowed", f"{method} {_shown(path)} is not allowed. Use {allowed}.")


def _shown(path: str) -> str:
    return ascii(path[:_SHOWN])[1:-1]


def _add(by_method: dict[str, _RouteMatch], found: _RouteMatch) -> None:
    """Add a route under its methods; GET answers HEAD as well (RFC 9110, section 9.3.2)."""
    for method in found.route.methods or ():
        by_method.setdefault(method, found)
        if method == "GET":
            by_method.setdefault("HEAD", found)


def _without_body(send: Send) -> Send:
    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return send_head
