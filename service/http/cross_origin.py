"""Requests that a web page makes a browser send: which are refused, and which origins are let in.

A page of any origin can make a browser send writes to any address that the browser reaches, services on its
own machine included (CSRF). A page can also let the name of its host point to that machine, and then counts
as of the same origin (DNS rebinding). Against the first, browsers say where a request comes from (Fetch
Metadata and `Origin`). Against the second, the name in `Host` is checked.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import ServiceError, refusal
from service.settings import Settings

Header = tuple[bytes, bytes]

# Orchestrators ask by any name, and the answers tell next to nothing.
_HEALTH = frozenset({"/livez", "/readyz", "/v2/health/live", "/v2/health/ready"})
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITES = frozenset({"same-origin", "none"})
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_METHODS = b"GET, HEAD, POST, PUT, DELETE"
_FIELD_NAMES = re.compile(r"[A-Za-z0-9_, -]{1,1000}")
_PREFLIGHT_SECONDS = b"600"
_EXPOSED = (
    b"Inference-Header-Content-Length, Retry-After, Server-Timing, "
    b"X-Execution-Provider, X-Model, X-Request-Id"
)
_SHOWN = 100


class OriginPolicy:
    """Which hosts the service is called by, and which origins may call it."""

    def __init__(self, settings: Settings) -> None:
        self._origins = frozenset(_names(settings.cors_origins))
        self._hosts = frozenset(_names(settings.allowed_hosts))
        # A page that rebinds its name has no key.
        self._loopback_is_open = settings.api_keys_file is None

    def check_host(self, scope: Scope, headers: Headers) -> None:
        """Refuse a name that the service is not called by.

        Without the setting any name will do, unless the connection comes from this machine without a key.

        Raises:
            ServiceError: 421 `host_not_allowed`.
        """
        if not self._hosts and not (self._loopback_is_open and _arrived_on_loopback(scope)):
            return
        if scope["path"] in _HEALTH:
            return
        for host in headers.getlist("host"):
            if not _cannot_be_rebound(host) and _without_port(host) not in self._hosts:
                raise ServiceError(
                    421,
                    "host_not_allowed",
                    f"The request is for the host {host[:_SHOWN]!a}, which is not a name of this service. "
                    "Use localhost or an IP address, or name the host in INFOMAX_ALLOWED_HOSTS.",
                    setting="INFOMAX_ALLOWED_HOSTS",
                )

    def check_origin(self, method: str, headers: Headers) -> None:
        """Refuse a write that a page of another origin makes a browser send.

        Raises:
            ServiceError: 403 `origin_not_allowed`.
        """
        if method in _SAFE_METHODS:
            return
        origin = headers.get("origin")
        if origin in self._origins:
            return
        site = headers.get("sec-fetch-site")
        if site is not None:
            foreign = site not in _OWN_SITES
        else:
            # From an older browser, or over plain HTTP from another machine.
            foreign = origin is not None and not _is_own(origin, headers)
        if foreign:
            raise ServiceError(
                403,
                "origin_not_allowed",
                f"A web page of another origin ({(origin or site or '')[:_SHOWN]!a}) may not send this. Name "
                "its origin in INFOMAX_CORS_ORIGINS, or send the request from a program.",
                setting="INFOMAX_CORS_ORIGINS",
            )

    def preflight(self, headers: Headers) -> Response | None:
        """Answer a browser that asks before a page's request; None where the page is not let in."""
        asked = headers.get("access-control-request-method")
        if asked is None or headers.get("origin") not in self._origins:
            return None
        answer = Response(status_code=204)
        answer.raw_headers += [
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-max-age", _PREFLIGHT_SECONDS),
        ]
        fields = headers.get("access-control-request-headers", "")
        if _FIELD_NAMES.fullmatch(fields):
            answer.raw_headers.append((b"access-control-allow-headers", fields.encode("ascii")))
        if headers.get("access-control-request-private-network") == "true":
            answer.raw_headers.append((b"access-control-allow-private-network", b"true"))
        return answer

    def fields(self, request_fields: Iterable[Header]) -> Iterator[Header]:
        """Header fields of every answer, which let the pages of named origins read it."""
        if not self._origins:
            return
        yield b"vary", b"Origin"
        for name, value in request_fields:
            if name == b"origin" and str(value, "latin-1") in self._origins:
                yield b"access-control-allow-origin", value
                yield b"access-control-expose-headers", _EXPOSED


class CrossOriginMiddleware:
    """Middleware outside of authentication, since neither preflights nor forged requests carry keys."""

    def __init__(self, app: ASGIApp, policy: OriginPolicy) -> None:
        self._app = app
        self._policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        answer = None
        try:
            self._policy.check_host(scope, headers)
            if scope["method"] == "OPTIONS":
                answer = self._policy.preflight(headers)
            else:
                self._policy.check_origin(scope["method"], headers)
        except ServiceError as error:
            answer = refusal(error, scope)
        await (answer or self._app)(scope, receive, send)


def _names(setting: str | None) -> list[str]:
    return setting.split(",") if setting else []


def _arrived_on_loopback(scope: Scope) -> bool:
    server = scope.get("server")
    return server is not None and _is_loopback(server[0])


@lru_cache(maxsize=64)
def _is_loopback(address: str) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return (getattr(parsed, "ipv4_mapped", None) or parsed).is_loopback


@lru_cache(maxsize=1024)
def _cannot_be_rebound(host: str) -> bool:
    """Whether no stranger can let a host of this name point elsewhere: an address, or a local name.

    Names without a dot are not in the public DNS.
    """
    name = _without_port(host)
    if "." not in name or name.endswith(".localhost"):
        return True
    try:
        ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def _without_port(host: str) -> str:
    name, colon, port = host.strip().lower().rpartition(":")
    if not colon or not (port.isascii() and (port.isdecimal() or not port)):
        name = host.strip().lower()
    return name.removesuffix(".")


def _is_own(origin: str, headers: Headers) -> bool:
    """Whether the origin's host is the one that the request is for."""
    scheme, _, host = origin.lower().partition("://")
    default = _DEFAULT_PORTS.get(scheme, "")
    # A proxy may have replaced `Host`; a page of another origin cannot set this one without a preflight.
    own = [*headers.getlist("host"), *headers.getlist("x-forwarded-host")]
    return bool(host) and host.removesuffix(default) in {name.lower().removesuffix(default) for name in own}
