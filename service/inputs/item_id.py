"""An item's id in a path, and the beginning of ids in a query."""

from fastapi import Request

from service.errors import ServiceError
from service.index.items import check_id, has_control
from service.inputs.parameters import refused

_REPLACEMENT = "\ufffd"
_SHOWN = 40


def item_id_of(request: Request) -> str:
    """Return the id behind `/v1/items/`, percent-decoded; slashes belong to it.

    Raises:
        ServiceError: 422 `invalid_id`.
    """
    item_id = check_id(request.path_params["id"])
    if _REPLACEMENT in item_id:
        # Servers decode other bytes to this, so that different paths would name one item.
        raise ServiceError(
            422, "invalid_id", "The id in the path is not UTF-8. Encode it as UTF-8 before percent-encoding."
        )
    return item_id


def check_beginning(value: str, name: str) -> str:
    """Return a text that ids may begin with; empty for all.

    Args:
        value: as it came.
        name: of the parameter.

    Raises:
        ServiceError: 422 `invalid_parameter` for what no id holds and PostgreSQL may not be able to read.
    """
    if has_control(value):
        raise refused(f"{name}={value[:_SHOWN]!a} has a control character, and no id has one.")
    return value
