"""GET and DELETE /v1/items: the items whose ids begin alike, page by page, or all of them gone."""

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import Field

from service.http.deadlines import within_deadline
from service.inputs.item_id import check_beginning
from service.inputs.parameters import Parameters, merge, parse, refused
from service.outputs import accept
from service.outputs.json import json_response
from service.routes import description
from service.routes.bulk_items import PATH
from service.runtime import served_for

MOST_LISTED = 1000

router = APIRouter(tags=["index"])


class PrefixParameters(Parameters):
    """Which items.

    Attributes:
        prefix: what their ids begin with.
    """

    prefix: str = ""


class ListParameters(PrefixParameters):
    """Which page of them.

    Attributes:
        after: the id behind which it begins: the last of the page before.
        limit: most items of the page.
    """

    after: str = ""
    limit: int = Field(default=100, ge=1, le=MOST_LISTED)


_TEXT = {"type": "string"}
_WHICH: dict[str, dict[str, Any]] = {"prefix": _TEXT, "model": description.MODEL}
_PAGE: dict[str, dict[str, Any]] = {
    "after": _TEXT,
    "limit": {"type": "integer", "minimum": 1, "maximum": MOST_LISTED, "default": 100},
}


@router.get(
    PATH,
    summary="The items whose ids begin with a prefix, page by page",
    responses=description.answers(accept.JSON),
    openapi_extra={"parameters": [description.TIMEOUT, *description.query(**_WHICH, **_PAGE)]},
)
@within_deadline
async def list_items(request: Request) -> Response:
    """By id as bytes; `next` is what `after` has to be for the next page, null where there is none."""
    asked = parse(ListParameters, merge(request.query_params.multi_items()))
    served = served_for(request, asked.model)
    prefix, after = check_beginning(asked.prefix, "prefix"), check_beginning(asked.after, "after")
    # One more than asked for tells whether there is a next page.
    items = await served.index.list_items(prefix, after, asked.limit + 1)
    page = items[: asked.limit]
    return json_response(
        {"model": served.id, "items": page, "next": page[-1].id if len(items) > len(page) else None}
    )


@router.delete(
    PATH,
    summary="Remove the items whose ids begin with a prefix",
    responses=description.answers(accept.JSON),
    openapi_extra={"parameters": [description.TIMEOUT, *description.query(**_WHICH)]},
)
@within_deadline
async def delete_items(request: Request) -> Response:
    """All of them or, where the database fails, none."""
    asked = parse(PrefixParameters, merge(request.query_params.multi_items()))
    served = served_for(request, asked.model)
    prefix = check_beginning(asked.prefix, "prefix")
    if not prefix:
        raise refused("The parameter prefix is missing: say what the ids begin with that are to be removed.")
    return json_response({"model": served.id, "deleted": await served.index.delete_all(prefix)})
