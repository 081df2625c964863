"""POST /v1/neighbours: the items nearest to an image, an item or a vector."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Request, Response
from numpy.typing import NDArray
from pydantic import BeforeValidator

from service.http.deadlines import within_deadline
from service.index.items import Neighbour, check_id
from service.index.search import Query
from service.index.vectors import check_vector
from service.inference.pipeline import Pipeline
from service.inference.results import Projections, Stages, Want
from service.inputs.images import Layout, Payload, no_image, read_payload
from service.inputs.parameters import parse, parsed_json, refused
from service.models.instance import ModelInstance
from service.outputs import accept
from service.outputs.json import dump
from service.outputs.neighbours import neighbours_json
from service.outputs.timing import server_timing
from service.routes import description
from service.routes.items import stored_item
from service.routes.search_parameters import OPTIONS, SearchParameters
from service.routes.whole import embed_all
from service.runtime import runtime_of, served_for

PATH = "/v1/neighbours"

router = APIRouter(tags=["index"])

_LAYOUT = Layout("image", several=False)


class NeighbourParameters(SearchParameters):
    """Parameters of the request.

    Attributes:
        id: id of an item to search by, instead of an image.
        vector: vector to search by, instead of an image.
        explain: whether to map which patches of the image speak for each neighbour.
    """

    id: str | None = None
    vector: Annotated[object, BeforeValidator(parsed_json)] = None
    explain: bool = False


@dataclass(frozen=True, slots=True)
class _QueryVector:
    """Vector to search by.

    Attributes:
        vector: float32 [D], of length one.
        projections: projections of the image, where its neighbours are to be explained.
    """

    vector: NDArray[np.float32]
    projections: Projections | None = None


_OPTIONS: dict[str, dict[str, Any]] = {**OPTIONS, "explain": {"type": "boolean", "default": False}}
_OTHERS: dict[str, dict[str, Any]] = {
    "id": {"type": "string"},
    "vector": {"type": "array", "items": {"type": "number"}},
}


@router.post(
    PATH,
    summary="Find the items nearest to an image, an item or a vector",
    responses=description.answers(accept.JSON),
    openapi_extra={
        "requestBody": description.body(
            {"image": description.IMAGE, **_OTHERS, **_OPTIONS},
            {"image": description.FILE, **_OTHERS, **_OPTIONS},
        ),
        "parameters": [description.TIMEOUT, *description.query(**_OPTIONS)],
    },
)
@within_deadline
async def find_neighbours(request: Request) -> Response:
    """Search the items of the model that answers, best first."""
    payload = await read_payload(request, _LAYOUT, runtime_of(request).settings)
    parameters = parse(NeighbourParameters, payload.members)
    served = served_for(request, parameters.model)
    condition = parameters.condition
    _check_one_query(payload, parameters)
    stages = Stages()
    query = await _query(request, served, payload, parameters, stages)
    started = perf_counter()
    hits = await served.index.search(
        Query(
            query.vector,
            parameters.k,
            condition,
            parameters.thoroughness,
            parameters.min_score,
            with_codes=parameters.explain,
        )
    )
    searched = perf_counter()
    explanations = None
    if query.projections is not None:
        explanations = await _explain(served.pipeline, query.projections, hits)
    answer = {"model": served.id, "neighbours": neighbours_json(hits, explanations)}
    content = dump(answer)
    headers = server_timing(stages, search=searched - started, serialise=perf_counter() - searched)
    return Response(content, headers=headers, media_type=accept.JSON)


def _check_one_query(payload: Payload, parameters: NeighbourParameters) -> None:
    given = [
        name
        for name, present in (
            ("an image", bool(payload.images)),
            ("an id", parameters.id is not None),
            ("a vector", parameters.vector is not None),
        )
        if present
    ]
    if not given:
        raise no_image("search by an image, an id or a vector")
    if len(given) > 1:
        raise refused(f"The request holds {' and '.join(given)}. Search by one of them.")
    if parameters.explain and not payload.images:
        raise refused(
            "explain=true needs an image: its patches explain the neighbours, and the index keeps no image. "
            "Send the image, or search without explain."
        )


async def _query(
    request: Request, served: ModelInstance, payload: Payload, parameters: NeighbourParameters, stages: Stages
) -> _QueryVector:
    if parameters.id is not None:
        return _QueryVector((await stored_item(served, check_id(parameters.id))).vector)
    if parameters.vector is not None:
        return _QueryVector(check_vector(parameters.vector, served.index.dimensions))
    want = Want.PROJECTIONS if parameters.explain else Want.EMBEDDING
    (one,) = await embed_all(request, served.pipeline, PATH, payload.images, want, stages)
    return _QueryVector(one.embedding, one.projections)


async def _explain(
    pipeline: Pipeline, query: Projections, hits: Sequence[Neighbour]
) -> list[NDArray[np.float32] | None]:
    """Map the query's patches against the code of each hit; None for a hit without a stored code."""
    codes = {place: hit.code for place, hit in enumerate(hits) if hit.code is not None}
    maps: list[NDArray[np.float32] | None] = [None] * len(hits)
    if codes:
        projected = await pipeline.project(np.stack(list(codes.values())))
        for place, code in zip(codes, projected, strict=True):
            maps[place] = query.against_code(code)
    return maps
