"""HTTP application of one process: runtime, middleware and routes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import APIRouter, FastAPI

from service.http.authentication import AuthenticationMiddleware, KeyedApplication
from service.http.cross_origin import CrossOriginMiddleware, OriginPolicy
from service.http.middleware import RequestMiddleware
from service.http.routing import RoutingMiddleware
from service.quotas.access import keys_and_usage
from service.routes import (
    batch,
    bulk_items,
    docs,
    embeddings,
    health,
    index_plane,
    item_lists,
    items,
    mi_maps,
    model_loads,
    models,
    neighbours,
    page,
    pictures,
    v2,
)
from service.runtime import Runtime

ROUTERS: tuple[APIRouter, ...] = (
    embeddings.router,
    mi_maps.router,
    neighbours.router,
    items.router,
    bulk_items.router,
    index_plane.router,
    item_lists.router,
    pictures.router,
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
        SettingsError: the usage file of API keys cannot be written.
    """

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await runtime.start()
        try:
            yield
        finally:
            await runtime.stop()

    authentication = keys_and_usage(runtime.settings)
    app = (KeyedApplication if authentication else FastAPI)(
        title="Infomax",
        summary="Image embeddings, MI maps and nearest neighbours by Deep InfoMax",
        description=_DESCRIPTION,
        version=version("infomax"),
        lifespan=lifespan,
        servers=[{"url": runtime.settings.root_path}] if runtime.settings.root_path else None,
        # service.routes.docs has routes for these.
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        # FastAPI would look for OpenTelemetry on every request; the metrics here are for Prometheus.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.runtime = runtime
    app.add_middleware(RoutingMiddleware, routers=ROUTERS)
    if authentication:
        keys, usage_file = authentication
        app.add_middleware(
            AuthenticationMiddleware,
            keys=keys,
            usage_file=usage_file,
            open_routes=runtime.settings.open_routes,
        )
    origins = OriginPolicy(runtime.settings)
    app.add_middleware(CrossOriginMiddleware, policy=origins)
    app.add_middleware(
        RequestMiddleware,
        in_flight=runtime.in_flight,
        models=runtime.models,
        origins=origins,
        client_seconds=runtime.settings.client_seconds,
        root_path=runtime.settings.root_path,
    )
    for router in ROUTERS:
        # For the OpenAPI document only: RoutingMiddleware answers before these.
        app.include_router(router)
    return app
