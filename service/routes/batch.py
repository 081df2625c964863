"""POST /v1/batch: a stream of images in, a stream of answers out, both of any length."""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field, WithJsonSchema, field_validator

from contract.card import ModelCard
from contract.map_kinds import MapKind
from service.http.request_context import context_of
from service.inputs.parameters import merge, parse, query_of, refused
from service.outputs import accept
from service.outputs.embeddings import VectorEncoding
from service.outputs.lines import NDJSON, Lines
from service.routes import description
from service.routes.map_parameters import KindName, Resolution, check_resolution
from service.routes.search_parameters import SearchParameters
from service.routes.streams import REQUEST_BODY, stream_response
from service.runtime import served_for
from service.streaming.maps import ModelMaps
from service.streaming.outputs import OUTPUTS, Outputs, Search
from service.streaming.response import AnswerFormat

PATH = "/v1/batch"

router = APIRouter(tags=["streams"])

_OFFERED = (NDJSON, accept.ARROW)
_NAMES = "^({0})( *, *({0}))*$".format("|".join(OUTPUTS))


class BatchParameters(SearchParameters):
    """Parameters of the query."""

    outputs: Annotated[tuple[str, ...], WithJsonSchema({"type": "string", "pattern": _NAMES})] = Field(
        default=OUTPUTS[:1],
        description=f"outputs of each image, separated by commas: {', '.join(OUTPUTS)}",
        json_schema_extra={"default": OUTPUTS[0]},
    )
    encoding_format: VectorEncoding = Field(default="float", description="how NDJSON writes a vector")
    kind: KindName = "information"
    resolution: Resolution = 1

    @field_validator("outputs", mode="before")
    @classmethod
    def _known(cls, value: object) -> tuple[str, ...]:
        names = tuple(name.strip() for name in str(value).split(","))
        if unknown := set(names) - set(OUTPUTS):
            raise ValueError(f"there is no output {min(unknown)[:40]!a}; there are {', '.join(OUTPUTS)}")
        return names


@router.post(
    PATH,
    summary="Answer a stream of images",
    responses=description.answers(*_OFFERED),
    openapi_extra={**description.operation(PATH, BatchParameters), "requestBody": REQUEST_BODY},
)
async def answer_batch(request: Request) -> Response:
    """Answer every image on its own, in order; an image that fails costs the others nothing."""
    media_type = accept.choose(request.headers.get("accept", ""), _OFFERED)
    parameters = parse(BatchParameters, merge(query_of(request)))
    served = served_for(request, parameters.model)
    search = Search(
        served.index,
        parameters.reach,
        parameters.condition,
        parameters.thoroughness,
        parameters.min_score,
        parameters.offset,
    )
    kind = MapKind(parameters.kind)
    check_resolution(kind, parameters.resolution)
    maps = ModelMaps(kind, served.pipeline, served.index, parameters.resolution)
    handler = Outputs(served.pipeline, parameters.outputs, search, context_of(request).quota, maps)
    return stream_response(request, PATH, handler, _format(media_type, parameters, served.pipeline.card))


def _format(media_type: str, parameters: BatchParameters, card: ModelCard) -> AnswerFormat:
    if media_type == NDJSON:
        return Lines(parameters.encoding_format)
    if "neighbours" in parameters.outputs:
        raise refused(f"outputs=neighbours cannot be written as {media_type}. Accept {NDJSON}.")
    # Only here is PyArrow needed.
    from service.outputs.answer_batches import AnswerBatches

    return AnswerBatches(card, parameters.outputs, MapKind(parameters.kind), parameters.resolution)
