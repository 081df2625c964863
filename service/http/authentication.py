"""The door of a service that asks for API keys: who comes in, and on whose account."""

from typing import Any

from fastapi import FastAPI, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import ServiceError, refusal
from service.http.request_context import context_of
from service.page import FILES
from service.quotas.api_keys import KeyRing
from service.quotas.quota import KeyQuota
from service.quotas.usage_file import UsageFile

_HEALTH = frozenset({"/livez", "/readyz", "/v2/health/live", "/v2/health/ready"})
# The page itself holds no data; its requests need the key that a user enters.
_PAGE = frozenset({"/", *(f"/page/{name}" for name in FILES)})
_DOCS = {"/docs", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css", "/openapi.json"}
_OPEN = {"metrics": frozenset({"/metrics"}), "docs": frozenset(_DOCS)}
_CHALLENGE = 'Bearer realm="infomax"'


class KeyedApplication(FastAPI):
    """An application whose OpenAPI document says that it asks for keys, so that /docs and clients do."""

    def openapi(self) -> dict[str, Any]:
        schema = super().openapi()
        schema.setdefault("components", {})["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        schema["security"] = [{"key": []}]
        return schema


class AuthenticationMiddleware:
    """Middleware inside of the one that gives requests their ids, outside of everything else.

    Nothing of a request is read before its key is known.
    """

    def __init__(self, app: ASGIApp, keys: KeyRing, usage_file: UsageFile, open_routes: str | None) -> None:
        """`open_routes` is the setting of that name."""
        self._app = app
        self._keys = keys
        self._usage_file = usage_file
        names = open_routes.split(",") if open_routes else []
        self._open = _HEALTH.union(_PAGE, *(_OPEN[name] for name in names))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in self._open:
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        presented = _presented(request)
        key = None if presented is None else self._keys.find(presented)
        if key is None:
            answer = refusal(_missing() if presented is None else _invalid(), scope)
            error = "" if presented is None else ', error="invalid_token"'
            answer.headers["WWW-Authenticate"] = _CHALLENGE + error
            await answer(scope, receive, send)
            return
        context = context_of(request)
        context.key = key
        context.quota = KeyQuota(key, self._usage_file)
        await self._app(scope, receive, send)


def require_admin(request: Request) -> None:
    """Let only keys pass that may change what is served, where keys are asked for at all.

    Raises:
        ServiceError: 403 `admin_key_required`.
    """
    key = context_of(request).key
    if key is not None and not key.admin:
        raise ServiceError(
            403,
            "admin_key_required",
            f"The API key {key.id} may not change what is served. Use one that has admin = true in the "
            "file of keys.",
        )


def _presented(request: Request) -> str | None:
    """What the client sends as its key: as OpenAI's clients do, or in a header of its own."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return request.headers.get("x-api-key") or None


def _missing() -> ServiceError:
    return ServiceError(
        401,
        "missing_api_key",
        "The request carries no API key. Send one as Authorization: Bearer KEY or as X-API-Key: KEY.",
    )


def _invalid() -> ServiceError:
    return ServiceError(
        401, "invalid_api_key", "The API key is not known here; check it, or ask the operator for another."
    )
