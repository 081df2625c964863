"""`/v1/models`: the card of what is served, and what it really runs on."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.errors import ServiceError
from service.outputs import accept
from service.outputs.json import dump
from service.routes import description
from service.runtime import Runtime, runtime_of

router = APIRouter(prefix="/v1/models", tags=["models"])


@router.get(
    "", summary="The models that are served, each with its card", responses=description.answers(accept.JSON)
)
async def models(request: Request) -> Response:
    """OpenAI's list shape; one process serves one model."""
    return _json({"object": "list", "data": [describe(runtime_of(request))]})


@router.get(
    "/{name:path}",
    summary="One model, by its name or name/version",
    responses=description.answers(accept.JSON),
)
async def model(request: Request, name: str) -> Response:
    runtime = runtime_of(request)
    card = runtime.pipeline.card
    if name not in (card.id, card.name):
        raise ServiceError(404, "unknown_model", f"No model {name[:100]!r} is served; there is {card.id}.")
    return _json(describe(runtime))


def describe(runtime: Runtime) -> dict[str, object]:
    """The model as `/v1/models` shows it."""
    pipeline, settings = runtime.pipeline, runtime.settings
    card, report = pipeline.card, pipeline.report
    return {
        "id": card.id,
        "object": "model",
        "created": int(card.created.timestamp()),
        "owned_by": "infomax",
        "execution": {
            "requested": report.requested,
            "active": report.active,
            "providers": report.providers,
            "nodes": {share.provider: share.nodes for share in report.nodes},
            "why_not_gpu": report.why_not_gpu,
            "runtime": report.runtime,
            "processes": settings.worker_count(on_gpu=report.on_gpu),
            "runs_per_process": settings.runs,
            "threads_per_run": report.threads_per_run,
        },
        "warm_up_images_per_second": round(pipeline.images_per_second, 1),
        "preprocessing_sha256": card.preprocessing_sha256,
        "card": card.model_dump(mode="json"),
    }


def _json(value: dict[str, object]) -> Response:
    return Response(dump(value), media_type="application/json")
