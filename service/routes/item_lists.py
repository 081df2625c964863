"""GET and DELETE /v1/items: list, page by page, or delete the items whose ids share a prefix."""

from fastapi import APIRouter, Request, Response
from pydantic import Field

from service.http.deadlines import within_deadline
from service.index.filters import compile_filter
from service.inputs.item_id import check_beginning
from service.inputs.parameters import JsonObject, Parameters, merge, parse, query_of, refused
from service.outputs import accept
from service.outputs.json import json_response
from service.routes import description
from service.routes.bulk_items import PATH
from service.runtime import served_for

MOST_LISTED = 1000

router = APIRouter(tags=["index"])


class PrefixParameters(Parameters):
    """Parameters that choose items."""

    prefix: str = Field(default="", description="beginning of the items' ids")


class ListParameters(PrefixParameters):
    """Parameters of one page."""

    after: str = Field(
        default="", description="id after which the page begins: `next` of the page before, or empty"
    )
    filter: JsonObject = Field(
        default=None, description="only items whose metadata pass; docs/api.md lists the operators"
    )
    limit: int = Field(default=100, ge=1, le=MOST_LISTED, description="most items of the page")


@router.get(
    PATH,
    summary="The items whose ids begin with a prefix, page by page",
    responses=description.answers(accept.JSON),
    openapi_extra=description.operation(PATH, ListParameters, timed=True),
)
@within_deadline
async def list_items(request: Request) -> Response:
    """List items in the order of their ids as bytes; `next` is `after` of the next page, or null."""
    asked = parse(ListParameters, merge(query_of(request)))
    served = served_for(request, asked.model)
    prefix, after = check_beginning(asked.prefix, "prefix"), check_beginning(asked.after, "after")
    # One more item tells whether there is a next page.
    condition = None if asked.filter is None else compile_filter(asked.filter)
    items = await served.index.list_items(prefix, after, asked.limit + 1, condition)
    page = items[: asked.limit]
    return json_response(
        {"model": served.id, "items": page, "next": page[-1].id if len(items) > len(page) else None}
    )


@router.delete(
    PATH,
    summary="Remove the items whose ids begin with a prefix",
    responses=description.answers(accept.JSON),
    openapi_extra=description.operation(PATH, PrefixParameters, timed=True),
)
@within_deadline
async def delete_items(request: Request) -> Response:
    """Delete all of them or, where the database fails, none."""
    asked = parse(PrefixParameters, merge(query_of(request)))
    served = served_for(request, asked.model)
    prefix = check_beginning(asked.prefix, "prefix")
    if not prefix:
        raise refused("The parameter prefix is missing. Set it to the beginning of the ids to delete.")
    return json_response({"model": served.id, "deleted": await served.index.delete_all(prefix)})
