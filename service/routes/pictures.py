"""/v1/thumbnails/{id} and /v1/originals/{id}: the pictures that are kept beside the vectors."""

from fastapi import APIRouter, Request, Response

from contract.image_formats import media_type
from service.errors import ServiceError
from service.http.deadlines import within_deadline
from service.index.items import StoredPicture
from service.inputs.item_id import item_id_of
from service.inputs.parameters import Parameters, merge, parse, query_of
from service.models.instance import ModelInstance
from service.routes import description
from service.routes.items import not_found
from service.runtime import served_for

PATH = "/v1/thumbnails/{id}"
ORIGINAL_PATH = "/v1/originals/{id}"

router = APIRouter(tags=["index"])

_THUMBNAIL, _ORIGINAL = "/v1/thumbnails/{id:path}", "/v1/originals/{id:path}"


@router.get(
    _THUMBNAIL,
    summary="Small picture of an item's image",
    responses=description.answers("image/jpeg", "image/png"),
    openapi_extra=description.operation(_THUMBNAIL, Parameters, timed=True),
)
@within_deadline
async def get_thumbnail(request: Request) -> Response:
    """Answer the thumbnail that was made when the image was stored."""
    _, picture = await _picture(request)
    if picture.thumbnail is None:
        raise _not_kept(
            picture.id, "thumbnail", "It was stored as a vector, or by an older version; store its image."
        )
    return Response(picture.thumbnail, media_type=media_type(picture.thumbnail))


@router.get(
    _ORIGINAL,
    summary="The image of an item as it came",
    responses=description.answers("image/*"),
    openapi_extra=description.operation(_ORIGINAL, Parameters, timed=True),
)
@within_deadline
async def get_original(request: Request) -> Response:
    """Answer the encoded image, where it is kept."""
    served, picture = await _picture(request)
    original = await served.pictures.original(picture)
    if original is None:
        raise _not_kept(picture.id, "original", "Set INFOMAX_ORIGINALS, then store the image again.")
    return Response(original, media_type=media_type(original))


async def _picture(request: Request) -> tuple[ModelInstance, StoredPicture]:
    served = served_for(request, parse(Parameters, merge(query_of(request))).model)
    item_id = item_id_of(request)
    picture = (await served.index.pictures([item_id])).get(item_id)
    if picture is None:
        raise not_found(served, item_id)
    return served, picture


def _not_kept(item_id: str, what: str, remedy: str) -> ServiceError:
    return ServiceError(404, "picture_not_kept", f"No {what} of the item {item_id!a} is kept. {remedy}")
