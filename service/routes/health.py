"""`/livez`, `/readyz`, `/metrics` and `/version`: state of the service, for machines."""

import platform
from importlib.metadata import version

from fastapi import APIRouter, Request
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from service.errors import ServiceError, not_ready
from service.outputs import accept
from service.outputs.json import dump
from service.outputs.metrics import registry
from service.routes import description
from service.runtime import runtime_of

router = APIRouter(tags=["service"])


@router.get("/livez", summary="Whether the process answers", responses=description.answers(accept.JSON))
async def livez(_request: Request) -> Response:
    return _json({"status": "alive"})


@router.get("/readyz", summary="Whether requests are answered", responses=description.answers(accept.JSON))
async def readyz(request: Request) -> Response:
    """Answer 503 `not_ready` with the reason in `detail`; an index that takes no writes is ready."""
    runtime = runtime_of(request)
    readiness = await runtime.readiness()
    if not readiness.ready:
        raise not_ready(readiness.reason)
    obstacle = runtime.database.writes.obstacle
    if obstacle is None:
        return _json({"status": "ready"})
    detail = f"The index takes no writes ({obstacle}); reads go on."
    return _json({"status": "ready", "index": "read_only", "detail": detail})


@router.get(
    "/metrics",
    summary="Metrics of all processes of this instance, for Prometheus",
    responses=description.answers("text/plain"),
)
async def metrics(request: Request) -> Response:
    """Answer the metrics, where they have no port of their own."""
    if runtime_of(request).settings.metrics_port is not None:
        raise ServiceError(
            404,
            "no_such_route",
            "The metrics of this service are on a port of their own. Scrape INFOMAX_METRICS_PORT.",
        )
    # Set as a header: Starlette would add a second charset to a media type.
    return Response(generate_latest(registry()), headers={"Content-Type": CONTENT_TYPE_LATEST})


@router.get(
    "/version",
    summary="Versions of the service, Python, ONNX Runtime and the model",
    responses=description.answers(accept.JSON),
)
async def versions(request: Request) -> Response:
    default = runtime_of(request).models.default
    return _json(
        {
            "infomax": version("infomax"),
            "python": platform.python_version(),
            "onnxruntime": default.pipeline.report.runtime,
            "model": default.id,
        }
    )


def _json(value: dict[str, str]) -> Response:
    return Response(dump(value), media_type="application/json")
