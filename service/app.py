"""The HTTP application of one process: its parts, its routes, and what surrounds every request."""

import reprlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from service.errors import ServiceError, refusal
from service.http.authentication import AuthenticationMiddleware, KeyedApplication, authentication_parts
from service.http.fast_routes import FastRoutes
from service.http.middleware import RequestMiddleware
from service.inputs.parameters import refused
from service.routes import (
    batch,
    bulk_items,
    docs,
    embeddings,
    health,
    item_lists,
    items,
    mi_maps,
    model_loads,
    models,
    neighbours,
    page,
    v2,
)
from service.runtime import Runtime

ROUTERS: tuple[APIRouter, ...] = (
    embeddings.router,
    mi_maps.router,
    neighbours.router,
    items.router,
    bulk_items.router,
    item_lists.router,
    batch.router,
    models.router,
    model_loads.router,
    health.router,
    docs.router,
    page.router,
    v2.router,
)

_DESCRIPTION = (
    "Send images, get embeddings, maps in nats of what each patch tells about its image, and the nearest of "
    "the images that were indexed. Every refusal is `application/problem+json` with a stable `code`."
)


def create_app(runtime: Runtime) -> FastAPI:
    """Put the application together; the runtime starts and stops with it.

    Raises:
        KeyFileError: the file of API keys cannot be used.
        SettingsError: there is no place for what API keys have used.
    """

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await runtime.start()
        try:
            yield
        finally:
            await runtime.stop()

    guard = authentication_parts(runtime.settings)
    app = (KeyedApplication if guard else FastAPI)(
        title="Infomax",
        summary="Image embeddings, MI maps and nearest neighbours by Deep InfoMax",
        description=_DESCRIPTION,
        version=version("infomax"),
        lifespan=lifespan,
        # service.routes.docs has a page of its own, and one is enough.
        docs_url=None,
        redoc_url=None,
        # FastAPI would look at every request whether somebody wants it; Prometheus is what there is here.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.runtime = runtime
    app.add_exception_handler(ServiceError, _refuse)
    app.add_exception_handler(HTTPException, _refuse_route)
    app.add_exception_handler(RequestValidationError, _refuse_parameters)
    app.add_middleware(FastRoutes, routers=(embeddings.router,))
    if guard:
        keys, usage_file = guard
        app.add_middleware(
            AuthenticationMiddleware,
            keys=keys,
            usage_file=usage_file,
            open_routes=runtime.settings.open_routes,
        )
    app.add_middleware(
        RequestMiddleware,
        in_flight=runtime.in_flight,
        models=runtime.models,
        client_seconds=runtime.settings.client_seconds,
    )
    for router in ROUTERS:
        app.include_router(router)
    return app


async def _refuse(request: Request, error: Exception) -> Response:
    return refusal(error, request.scope)


async def _refuse_route(request: Request, error: Exception) -> Response:
    """Starlette's own refusals: no such route, or not with this method."""
    assert isinstance(error, HTTPException)  # noqa: S101 (it is registered for these alone)
    code = {404: "no_such_route", 405: "method_not_allowed"}.get(error.status_code, "bad_request")
    reason = ServiceError(error.status_code, code, f"{request.method} {request.url.path}: {error.detail}.")
    answer = refusal(reason, request.scope)
    answer.headers.update(error.headers or {})
    return answer


async def _refuse_parameters(request: Request, error: Exception) -> Response:
    """FastAPI's own refusals: a parameter that is missing or not of its type; the first is named."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 (it is registered for these alone)
    first = error.errors()[0]
    place, *path = (str(part) for part in first["loc"])
    name = ".".join(path) or place
    given = "is missing" if first["type"] == "missing" else f"is {reprlib.repr(first['input'])}"
    return refusal(refused(f"The {place} parameter {name} {given}: {first['msg']}."), request.scope)
