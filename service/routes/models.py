"""`/v1/models`: cards and execution of the served models, and states of other versions."""

from dataclasses import asdict

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.models.instance import ModelInstance
from service.models.messages import VersionStatus
from service.outputs import accept
from service.outputs.json import json_response
from service.routes import description
from service.runtime import runtime_of
from service.settings import Settings

router = APIRouter(prefix="/v1/models", tags=["models"])


@router.get(
    "",
    summary="The served models with their cards, and the versions that are not served",
    responses=description.answers(accept.JSON),
)
async def models(request: Request) -> Response:
    """Answer a list as OpenAI does: the default model, the others, then versions that are not served."""
    runtime = runtime_of(request)
    served = [describe(served, runtime.settings) for served in runtime.models]
    return json_response(
        {"object": "list", "data": [*served, *map(_describe_status, runtime.load_requests.statuses)]}
    )


@router.get(
    "/{name:path}",
    summary="One model, by its name or name/version",
    responses=description.answers(accept.JSON),
    openapi_extra=description.operation("/{name:path}"),
)
async def model(request: Request) -> Response:
    runtime, name = runtime_of(request), request.path_params["name"]
    for status in runtime.load_requests.statuses:
        if status.id == name and all(served.id != name for served in runtime.models):
            return json_response(_describe_status(status))
    return json_response(describe(runtime.models.find(name), runtime.settings))


def describe(served: ModelInstance, settings: Settings) -> dict[str, object]:
    """Describe a served model, as `/v1/models` shows it."""
    pipeline = served.pipeline
    card, report = pipeline.card, pipeline.report
    return {
        "id": card.id,
        "object": "model",
        "created": int(card.created.timestamp()),
        "owned_by": "infomax",
        "state": "ready",
        "execution": {
            "requested": report.requested,
            "active": report.active,
            "providers": report.providers,
            "nodes": {share.provider: share.nodes for share in report.nodes},
            "why_not_gpu": report.why_not_gpu,
            "gpu": {"asked": report.gpu_asked, "active": report.gpu_active},
            "runtime": report.runtime,
            "processes": settings.worker_count(on_gpu=report.on_gpu),
            "runs_per_process": settings.runs,
            "threads_per_run": report.threads_per_run,
            "precision": asdict(report.precision),
        },
        "warm_up_images_per_second": round(pipeline.images_per_second, 1),
        "preprocessing_sha256": card.preprocessing_sha256,
        "card": card.model_dump(mode="json"),
    }


def _describe_status(status: VersionStatus) -> dict[str, object]:
    """Describe a version that is not served, with the four members that OpenAI's clients need."""
    return {
        "id": status.id,
        "object": "model",
        "created": int(status.since),
        "owned_by": "infomax",
        "state": status.state,
        "reason": status.reason,
    }
