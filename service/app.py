"""The HTTP application of one process: its parts, its routes, and what surrounds every request."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from service.errors import ServiceError, problem
from service.routes import batch, bulk_items, embeddings, items, mi_maps, neighbours
from service.runtime import Runtime

ROUTERS: tuple[APIRouter, ...] = (
    embeddings.router,
    mi_maps.router,
    neighbours.router,
    items.router,
    bulk_items.router,
    batch.router,
)


def create_app(runtime: Runtime) -> FastAPI:
    """Put the application together; the runtime starts and stops with it."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await runtime.start()
        try:
            yield
        finally:
            await runtime.stop()

    app = FastAPI(title="Infomax", lifespan=lifespan)
    app.state.runtime = runtime
    app.add_exception_handler(ServiceError, _refuse)
    app.add_exception_handler(HTTPException, _refuse_route)
    app.add_exception_handler(Exception, _refuse)
    for router in ROUTERS:
        app.include_router(router)
    return app


async def _refuse(request: Request, error: Exception) -> Response:
    return problem(error, request_id_of(request))


async def _refuse_route(request: Request, error: Exception) -> Response:
    """Starlette's own refusals: no such route, or not with this method."""
    assert isinstance(error, HTTPException)  # noqa: S101 (it is registered for these alone)
    code = {404: "no_such_route", 405: "method_not_allowed"}.get(error.status_code, "bad_request")
    refusal = ServiceError(error.status_code, code, f"{request.method} {request.url.path}: {error.detail}.")
    return problem(refusal, request_id_of(request))


def request_id_of(request: Request) -> str:
    """The id that the request came with or was given."""
    return str(request.scope.get("state", {}).get("request_id", ""))
