"""POST /v1/items: a stream of items into the index, each acknowledged once it is stored."""

from fastapi import APIRouter, Request, Response

from service.http.request_context import context_of
from service.inputs.parameters import Parameters, merge, parse, query_of
from service.outputs import accept
from service.outputs.lines import NDJSON, Lines
from service.routes import description
from service.routes.streams import REQUEST_BODY, stream_response
from service.runtime import served_for
from service.streaming.storage import Storage

PATH = "/v1/items"

router = APIRouter(tags=["index"])


@router.post(
    PATH,
    summary="Store a stream of items",
    responses=description.answers(NDJSON),
    openapi_extra={**description.operation(PATH, Parameters), "requestBody": REQUEST_BODY},
)
async def store_items(request: Request) -> Response:
    """Store every item on its own, in order; an older item of the same id is replaced."""
    accept.choose(request.headers.get("accept", ""), (NDJSON,))
    served = served_for(request, parse(Parameters, merge(query_of(request))).model)
    handler = Storage(served.pipeline, served.index, served.pictures, context_of(request).quota)
    return stream_response(request, PATH, handler, Lines())
