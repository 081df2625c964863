"""`/v2`: the Open Inference Protocol (KServe V2), for Triton's client and other programs that use it.

A model has one input, `image`: encoded images as a tensor of BYTES. Its outputs are those of /v1/embeddings
and /v1/mi-maps. Refusals have the same reasons and the form `{"error": "…"}`.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from importlib.metadata import version as package_version
from time import perf_counter
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response

from contract.card import ModelCard
from service.errors import not_ready
from service.http.deadlines import Route, until, within_deadline
from service.inference.maps import WANTS
from service.inference.results import Stages, Want
from service.inputs import v2 as inputs
from service.inputs.body import read_body
from service.inputs.parameters import refused
from service.models.instance import ModelInstance
from service.outputs import accept
from service.outputs import v2 as outputs
from service.outputs.json import json_response
from service.outputs.timing import server_timing
from service.routes import description
from service.routes.early_refusal import refuse_early
from service.routes.whole import embed_all, map_all
from service.runtime import runtime_of, served_for
from service.streaming.maps import ModelMaps

router = APIRouter(prefix="/v2", tags=["Open Inference Protocol"])

_EMBEDDING, _MI_MAP = "embedding", "mi_map"
_BINARY = "application/octet-stream"
_JSON = description.v2_answers(accept.JSON)
_PLACES = ("/models/{name}", "/models/{name}/versions/{version}")
_BODY = {
    "required": True,
    "content": {
        accept.JSON: {"schema": {"type": "object"}},
        _BINARY: {"schema": description.FILE},
    },
}
_SPLIT = {
    "name": inputs.HEADER,
    "in": "header",
    "required": False,
    "description": "bytes of JSON, before the bytes of the tensors; 0 where the body is one image",
    "schema": {"type": "integer", "minimum": 0},
}


def _of_model(
    method: str,
    path: str,
    summary: str,
    responses: dict[int | str, dict[str, Any]] = _JSON,
    parameters: Sequence[dict[str, Any]] = (),
    timed: bool = False,
    **openapi: Any,
) -> Callable[[Route], Route]:
    """Register a route for a model, and the same route for one of its versions."""

    def register(route: Route) -> Route:
        for start in _PLACES:
            read = description.operation(start + path, timed=timed)
            router.add_api_route(
                start + path,
                route,
                methods=[method],
                summary=summary,
                responses=responses,
                openapi_extra={**openapi, "parameters": [*read["parameters"], *parameters]},
            )
        return route

    return register


@router.get("", summary="Name and version of the server, and its extensions", responses=_JSON)
async def server(_request: Request) -> Response:
    return json_response(
        {"name": "infomax", "version": package_version("infomax"), "extensions": ["binary_tensor_data"]}
    )


@router.get("/health/live", summary="Whether the process answers", responses=_JSON)
async def live(_request: Request) -> Response:
    return json_response({"live": True})


@router.get("/health/ready", summary="Whether requests are answered", responses=_JSON)
async def ready(request: Request) -> Response:
    readiness = await runtime_of(request).readiness()
    if not readiness.ready:
        raise not_ready(readiness.reason)
    return json_response({"ready": True})


@router.post("/repository/index", summary="Every model version that is served", responses=_JSON)
async def index(request: Request) -> Response:
    """List every served version; the body is not read."""
    # A version is served twice where two entries of the settings mean it.
    versions = dict.fromkeys((served.name, _version(served)) for served in runtime_of(request).models)
    return json_response(
        [{"name": name, "version": version, "state": "READY", "reason": ""} for name, version in versions]
    )


@_of_model("GET", "", "Inputs and outputs of a model")
async def metadata(request: Request) -> Response:
    served = _served(request)
    models = runtime_of(request).models
    versions = [_version(one) for one in models if one.name == served.name]
    return json_response(
        {
            "name": served.name,
            "versions": list(dict.fromkeys(versions)),
            "platform": "onnxruntime_onnx",
            "inputs": [{"name": inputs.IMAGE, "datatype": inputs.DATATYPE, "shape": [-1]}],
            "outputs": [
                {"name": name, "datatype": outputs.DATATYPE, "shape": [-1, *shape]}
                for name, shape in _shapes(served.pipeline.card).items()
            ],
        }
    )


@_of_model("GET", "/ready", "Whether a model answers")
async def model_ready(request: Request) -> Response:
    served = _served(request)
    readiness = served.pipeline.readiness
    if not readiness.ready:
        raise not_ready(readiness.reason)
    return json_response({"name": served.name, "ready": True})


@_of_model(
    "POST",
    "/infer",
    "Embeddings and MI maps of a tensor of images",
    responses=description.v2_answers(accept.JSON, _BINARY),
    requestBody=_BODY,
    parameters=[_SPLIT],
    timed=True,
)
@within_deadline
@refuse_early()
async def infer(request: Request) -> Response:
    """Answer every image of the request, or refuse it as a whole."""
    runtime = runtime_of(request)
    served = _served(request)
    card = served.pipeline.card
    body = await read_body(request, runtime.settings.max_request_bytes)
    split = request.headers.get(inputs.HEADER)
    asked = inputs.parse_inference(body, split, runtime.settings.max_request_items)
    wanted = asked.outputs or tuple(inputs.WantedOutput(name, asked.binary) for name in _shapes(card))
    with_maps = _with_maps(wanted, card)
    want = WANTS[asked.kind] if with_maps else Want.EMBEDDING
    stages = Stages()
    route = request.scope["route"].path_format
    limit = until(request, asked.seconds, "the parameter timeout") if asked.seconds else nullcontext()
    with limit:
        embedded = await embed_all(request, served.pipeline, route, asked.images, want, stages)
        maps = (
            await map_all(ModelMaps(asked.kind, served.pipeline, served.index), embedded) if with_maps else []
        )
    started = perf_counter()
    rows = {_EMBEDDING: [one.embedding for one in embedded], _MI_MAP: [one.values for one in maps]}
    shapes = _shapes(card)
    tensors = [
        outputs.OutputTensor(
            one.name, np.array(rows[one.name], np.float32).reshape(-1, *shapes[one.name]), one.binary
        )
        for one in wanted
    ]
    return outputs.answer(card, tensors, asked.id, server_timing(stages, serialise=perf_counter() - started))


def _served(request: Request) -> ModelInstance:
    """Find the model of the path, `name` or `name/version`.

    Raises:
        ServiceError: 404 `unknown_model`.
    """
    return served_for(request, "/".join(request.path_params.values()))


def _version(served: ModelInstance) -> str:
    return str(served.pipeline.card.version)


def _shapes(card: ModelCard) -> dict[str, tuple[int, ...]]:
    """Return the shape of each output for one image."""
    grid = card.patch_grid
    return {_EMBEDDING: (card.shapes.embedding,), _MI_MAP: (grid.rows, grid.columns)}


def _with_maps(wanted: Sequence[inputs.WantedOutput], card: ModelCard) -> bool:
    """Tell whether the outputs need maps.

    Raises:
        ServiceError: 422 `invalid_parameter` for an unknown output.
    """
    shapes = _shapes(card)
    for one in wanted:
        if one.name not in shapes:
            raise refused(f"There is no output {one.name[:40]!a}. There are {', '.join(shapes)}.")
    return any(one.name == _MI_MAP for one in wanted)
