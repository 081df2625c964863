"""An item's id in a path."""

from fastapi import Request

from service.errors import ServiceError
from service.index.items import check_id

_REPLACEMENT = "\ufffd"


def item_id_of(request: Request) -> str:
    """The id behind `/v1/items/`, percent-decoded; slashes belong to it.

    Raises:
        ServiceError: 422 `invalid_id`.
    """
    item_id = check_id(request.path_params["id"])
    if _REPLACEMENT in item_id:
        # Servers decode other bytes to this, so that different paths would name one item.
        raise ServiceError(
            422, "invalid_id", "The id in the path is no UTF-8; encode it as UTF-8 before percent-encoding."
        )
    return item_id
