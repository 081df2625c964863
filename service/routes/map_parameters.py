"""Parameters of maps, for one request and for a stream."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from contract.map_kinds import MapKind
from service.inputs.parameters import Parameters, Text, refused

KindName = Annotated[
    Literal["information", "contribution", "contrast"],
    Field(
        description="the question that a map answers. "
        + " ".join(f"{kind}: {kind.meaning.question}" for kind in MapKind)
    ),
]

_RESOLUTIONS = {"1": 1, "2": 2, "4": 4}


def _number(value: object) -> object:
    """Return the number that a text of a query or a form names; all else is judged as it is."""
    if isinstance(value, bool):
        # Python takes true for 1.
        raise ValueError("it must be 1, 2 or 4")
    return _RESOLUTIONS.get(value, value) if isinstance(value, Text) else value


Resolution = Annotated[
    Literal[1, 2, 4],
    BeforeValidator(_number),
    Field(
        description="how many times as many rows and columns a map has: 2 costs as much as 5 images, 4 as "
        "much as 17; not for kind=contribution"
    ),
]


def check_resolution(kind: MapKind, resolution: int) -> None:
    """Refuse finer maps of a kind that has none.

    Raises:
        ServiceError: 422 `invalid_parameter`.
    """
    if kind is MapKind.CONTRIBUTION and resolution > 1:
        raise refused(
            f"resolution={resolution} is not for kind=contribution, which covers patches of the model's own "
            "grid. Leave the resolution out, or ask for kind=information or kind=contrast."
        )


class MapParameters(Parameters):
    """Parameters of a request for maps."""

    kind: KindName = "information"
    resolution: Resolution = 1
