"""/v1/items/{id} and /v1/index: one item of the index, and statistics of all."""

from fastapi import APIRouter, Request, Response
from pydantic import Field

from service.errors import ServiceError
from service.http.deadlines import within_deadline
from service.index.items import NewItem, StoredItem, check_object
from service.index.vectors import check_vector
from service.inputs.images import Layout, no_image, read_payload
from service.inputs.item_id import item_id_of
from service.inputs.parameters import JsonObject, JsonVector, Parameters, merge, parse, query_of, refused
from service.models.instance import ModelInstance
from service.outputs import accept
from service.outputs.json import json_response
from service.routes import description
from service.routes.early_refusal import is_image, refuse_early
from service.routes.whole import embed_all
from service.runtime import runtime_of, served_for

PATH = "/v1/items/{id}"
INDEX_PATH = "/v1/index"

router = APIRouter(tags=["index"])

_ROUTE = "/v1/items/{id:path}"
_LAYOUT = Layout("image", several=False)


class ItemParameters(Parameters):
    """Parameters of an item."""

    vector: JsonVector = Field(default=None, description="vector to store, in place of an image")
    metadata: JsonObject = Field(default=None, description="metadata of the item, for filters")


@router.put(
    _ROUTE,
    summary="Store an image, or a vector, under an id",
    responses=description.answers(accept.JSON),
    openapi_extra=description.operation(_ROUTE, ItemParameters, _LAYOUT, timed=True),
)
@within_deadline
@refuse_early(is_image)
async def put_item(request: Request) -> Response:
    """Store one item, in place of an older one of the same id; answer once it is on the disk."""
    item_id = item_id_of(request)
    payload = await read_payload(request, ItemParameters, _LAYOUT, runtime_of(request).settings)
    parameters = payload.parameters
    served = served_for(request, parameters.model)
    metadata = check_object({} if parameters.metadata is None else parameters.metadata)
    if parameters.vector is not None:
        if payload.images:
            raise refused("The request holds an image and a vector. Send one of the two.")
        vector = check_vector(parameters.vector, served.index.dimensions)
        item = NewItem(item_id, vector, metadata)
    elif payload.images:
        (one,) = await embed_all(request, served.pipeline, PATH, payload.images, served.pictures.want)
        item = await served.pictures.item(item_id, metadata, payload.images[0], one)
    else:
        raise no_image("send one, or a vector")
    await served.index.put([item])
    return json_response({"id": item_id, "model": served.id, "status": "stored"})


@router.get(
    _ROUTE,
    summary="The item of an id",
    responses=description.answers(accept.JSON),
    openapi_extra=description.operation(_ROUTE, Parameters, timed=True),
)
@within_deadline
async def get_item(request: Request) -> Response:
    """Answer the stored item with its vector."""
    served = _served_by_query(request)
    item = await stored_item(served, item_id_of(request))
    answer = {
        "id": item.id,
        "model": served.id,
        "vector": item.vector,
        "metadata": item.metadata,
        "width": item.width,
        "height": item.height,
        "format": item.format,
        "updated": item.updated,
    }
    return json_response(answer)


@router.delete(
    _ROUTE,
    status_code=204,
    summary="Remove an item",
    responses=description.refusals(),
    openapi_extra=description.operation(_ROUTE, Parameters, timed=True),
)
@within_deadline
async def delete_item(request: Request) -> Response:
    """Remove one item."""
    served = _served_by_query(request)
    item_id = item_id_of(request)
    if not await served.index.delete(item_id):
        raise not_found(served, item_id)
    return Response(status_code=204)


@router.get(
    INDEX_PATH,
    summary="Statistics of the index",
    responses=description.answers(accept.JSON),
    openapi_extra=description.operation(INDEX_PATH, Parameters),
)
async def get_index(request: Request) -> Response:
    """Answer what the database holds for the named model and for every other version."""
    served = _served_by_query(request)
    statistics = await served.index.statistics()
    answer = {
        "model": served.id,
        "dimensions": served.index.dimensions,
        "postgresql": statistics.postgresql,
        "pgvector": statistics.pgvector,
        "spaces": statistics.spaces,
    }
    return json_response(answer)


async def stored_item(served: ModelInstance, item_id: str) -> StoredItem:
    """Read the item of an id.

    Raises:
        ServiceError: 404 `item_not_found`, 503 `index_unavailable`.
    """
    item = await served.index.get(item_id)
    if item is None:
        raise not_found(served, item_id)
    return item


def not_found(served: ModelInstance, item_id: str) -> ServiceError:
    """Make the refusal of an item that does not exist."""
    return ServiceError(404, "item_not_found", f"There is no item {item_id!a} of the model {served.id}.")


def _served_by_query(request: Request) -> ModelInstance:
    """Find the model of a request without a body."""
    return served_for(request, parse(Parameters, merge(query_of(request))).model)
