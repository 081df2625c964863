"""POST /v1/neighbours: the items nearest to an image, an item or a vector."""

from dataclasses import dataclass
from functools import partial
from time import perf_counter

import numpy as np
from fastapi import APIRouter, Request, Response
from numpy.typing import NDArray
from pydantic import Field

from contract.map_kinds import MapKind
from service.http.deadlines import within_deadline
from service.http.disconnect import while_connected
from service.index.items import check_id
from service.index.search import Query
from service.index.vectors import check_vector
from service.inference.image_size import image_size
from service.inference.results import Embedded, Failed, Stages, Want
from service.inputs.images import Layout, Payload, no_image, read_payload
from service.inputs.parameters import JsonExamples, JsonVector, refused
from service.models.instance import ModelInstance
from service.outputs import accept
from service.outputs.json import dump
from service.outputs.lines import NDJSON
from service.outputs.mi_maps import boxes_json, image_json
from service.outputs.neighbour_picture import MOST_ROWS, PictureRow, draw_neighbours
from service.outputs.neighbours import neighbours_json
from service.outputs.painter import Painter
from service.outputs.timing import server_timing
from service.routes import description
from service.routes.early_refusal import is_image, refuse_early
from service.routes.examples import combine, parse_examples
from service.routes.explanations import MOST_HITS, explain, explain_hits, explain_query, stored_query
from service.routes.items import stored_item
from service.routes.query_maps import MapKinds, map_query, maps_json, missing_contributions, want_of
from service.routes.regions import RegionParameters, search_regions
from service.routes.side_lines import SideLines
from service.routes.whole import embed_all
from service.runtime import runtime_of, served_for

PATH = "/v1/neighbours"

router = APIRouter(tags=["index"])

_LAYOUT = Layout("image", several=False)
_OFFERED = (accept.JSON, accept.PNG, NDJSON)
_PAINTER = Painter()


class NeighbourParameters(RegionParameters):
    """Parameters of the request."""

    vector: JsonVector = Field(default=None, description="vector to search by, in place of an image")
    positive: JsonExamples = Field(
        default=None, description='further examples to search near to: [{"id": "a"}, {"vector": [...]}]'
    )
    negative: JsonExamples = Field(default=None, description="examples to search away from, written alike")
    explain: bool = Field(
        default=False,
        description="whether to map which patches of the image speak for each neighbour, and the reverse",
    )
    maps: MapKinds = ()
    embedding: bool = Field(default=False, description="whether to answer the vector that is searched by too")


@dataclass(frozen=True, slots=True)
class _QueryVector:
    """Vector to search by.

    Attributes:
        vector: float32 [D], of length one; None where there are further examples alone.
        embedded: answer to the image, where there is one.
        image: the encoded image, for a picture.
        missing: why the image has no map of contribution.
    """

    vector: NDArray[np.float32] | None = None
    embedded: Embedded | None = None
    image: bytes = b""
    missing: Failed | None = None


@router.post(
    PATH,
    summary="Find the items nearest to an image, an item or a vector",
    responses=description.answers(*_OFFERED),
    openapi_extra=description.operation(PATH, NeighbourParameters, _LAYOUT, timed=True),
)
@within_deadline
@refuse_early(is_image)
async def find_neighbours(request: Request) -> Response:
    """Search the items of the model that answers, best first."""
    runtime = runtime_of(request)
    media_type = accept.choose(request.headers.get("accept", ""), _OFFERED)
    payload = await read_payload(request, NeighbourParameters, _LAYOUT, runtime.settings)
    parameters = payload.parameters
    served = served_for(request, parameters.model)
    condition, reach = parameters.condition, parameters.reach
    _check_one_query(payload)
    if parameters.by_region:
        return await search_regions(
            request, served, payload, PATH, media_type, _unfit_for_regions(parameters)
        )
    _check_explained(parameters, media_type)
    stages = Stages()
    dimensions = served.index.dimensions
    positive = parse_examples(parameters.positive, "positive", dimensions)
    negative = parse_examples(parameters.negative, "negative", dimensions)
    query = await _query(request, served, payload, stages)
    vector = query.vector
    if positive or negative or vector is None:
        vector = await combine(served, vector, positive, negative)
    # Examples are known already, so they are not answered.
    known = {*positive.ids, *negative.ids}
    started = perf_counter()
    found = await served.index.search(
        Query(
            vector,
            reach + len(known),
            condition,
            parameters.thoroughness,
            parameters.min_score,
            with_codes=parameters.explain,
        )
    )
    others = [hit for hit in found if hit.id not in known]
    hits = others[parameters.offset : reach]
    searched = perf_counter()
    explanations = None
    in_parts = media_type == NDJSON
    projections = None if query.embedded is None else query.embedded.projections
    if parameters.explain and projections is not None:
        explanations = await (explain_query if in_parts else explain)(served, projections, hits)
    if media_type == accept.PNG and explanations is not None:
        rows = [PictureRow(hit.id, hit.score, why) for hit, why in zip(hits, explanations, strict=True)]
        limits = runtime.settings.image_limits
        paint = partial(draw_neighbours, query.image, rows, served.pipeline.card, limits)
        kept = [why.hit.encoded for why in explanations if why is not None and why.hit is not None]
        pixels = sum(image_size(data).pixels for data in (query.image, *kept))
        painting = _PAINTER.paint(paint, pixels, runtime.settings.queue_seconds)
        content = await while_connected(request, painting)
    else:
        shown = neighbours_json(hits, explanations, sides=not in_parts)
        answer: dict[str, object] = {"model": served.id, "neighbours": shown}
        if parameters.maps and query.embedded is not None:
            card, image = served.pipeline.card, query.embedded.image
            maps = await map_query(served, parameters.maps, query.embedded, query.missing)
            answer["maps"] = maps_json(served, maps)
            answer["image"] = image_json(image)
            answer["boxes"] = boxes_json(card, card.patch_grid, image)
        if parameters.embedding:
            answer["embedding"] = np.ascontiguousarray(vector, np.float32)
        content = dump(answer)
    headers = server_timing(stages, search=searched - started, serialise=perf_counter() - searched)
    if in_parts:
        if explanations is None or projections is None:
            return SideLines(content, None, headers)
        return SideLines(content, explain_hits(served, projections, hits), headers)
    return Response(content, headers=headers, media_type=media_type)


def _check_one_query(payload: Payload[NeighbourParameters]) -> None:
    parameters = payload.parameters
    given = [
        name
        for name, present in (
            ("an image", bool(payload.images)),
            ("an id", parameters.id is not None),
            ("a vector", parameters.vector is not None),
        )
        if present
    ]
    several = parameters.positive is not None or parameters.negative is not None
    if not given and not several:
        raise no_image("search by an image, an id or a vector")
    if len(given) > 1:
        raise refused(f"The request holds {' and '.join(given)}. Search by one of them.")
    if parameters.explain and not payload.images and parameters.id is None:
        raise refused(
            "explain=true needs an image, whose patches explain the neighbours. "
            "Search by an image or an id, or without explain."
        )
    if parameters.maps and not payload.images and parameters.id is None:
        raise refused(
            "maps needs an image, whose patches are mapped. Search by an image or an id, or without maps."
        )


def _unfit_for_regions(parameters: NeighbourParameters) -> dict[str, bool]:
    """Return what does not combine with a search by region, and whether it is asked for."""
    return {
        "vector": parameters.vector is not None,
        "positive": parameters.positive is not None,
        "negative": parameters.negative is not None,
        "explain": parameters.explain,
        "maps": bool(parameters.maps),
        "embedding": parameters.embedding,
    }


def _check_explained(parameters: NeighbourParameters, media_type: str) -> None:
    if media_type == accept.PNG and not parameters.explain:
        raise refused("A picture shows explained neighbours. Set explain=true, or accept application/json.")
    if media_type == accept.PNG and (parameters.maps or parameters.embedding):
        raise refused(
            "A picture shows explained neighbours alone. Leave maps and embedding out, or accept "
            "application/json."
        )
    most = MOST_ROWS if media_type == accept.PNG else MOST_HITS
    if parameters.explain and parameters.k > most:
        raise refused(
            f"k={parameters.k} is too many to explain: at most {most} "
            f"{'in a picture' if media_type == accept.PNG else 'at a time'}. Lower k.",
            limit=most,
        )


async def _query(
    request: Request, served: ModelInstance, payload: Payload[NeighbourParameters], stages: Stages
) -> _QueryVector:
    parameters = payload.parameters
    if parameters.id is not None:
        item_id = check_id(parameters.id)
        vector = (await stored_item(served, item_id)).vector
        if not parameters.explain and not parameters.maps:
            return _QueryVector(vector)
        return await _stored_query(served, item_id, vector, parameters)
    if parameters.vector is not None:
        return _QueryVector(check_vector(parameters.vector, served.index.dimensions))
    if not payload.images:
        return _QueryVector()
    want, missing = await _want(served, parameters)
    (one,) = await embed_all(request, served.pipeline, PATH, payload.images, want, stages)
    return _QueryVector(one.embedding, one, payload.images[0], missing)


async def _want(served: ModelInstance, parameters: NeighbourParameters) -> tuple[Want, Failed | None]:
    """Return how much of the model is needed, and why it has no contributions."""
    missing = await missing_contributions(served, parameters.maps)
    kinds = [kind for kind in parameters.maps if kind is not MapKind.CONTRIBUTION or missing is None]
    return want_of(kinds, explain=parameters.explain), missing


async def _stored_query(
    served: ModelInstance, item_id: str, vector: NDArray[np.float32], parameters: NeighbourParameters
) -> _QueryVector:
    want, missing = await _want(served, parameters)
    kept = await stored_query(served, item_id, want)
    if kept is None:
        raise refused(
            f"No picture of the item {item_id!a} is kept, so it cannot be mapped, nor its neighbours "
            "explained. Store its image again, or search without explain and maps."
        )
    return _QueryVector(vector, kept[1], kept[0], missing)
