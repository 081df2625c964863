"""Parameters of maps, for one request and for a stream."""

from typing import Annotated, Literal

from pydantic import Field

from contract.map_kinds import MapKind
from service.inputs.parameters import Parameters

KindName = Annotated[
    Literal["information", "contribution", "contrast"],
    Field(
        description="the question that a map answers. "
        + " ".join(f"{kind}: {kind.meaning.question}" for kind in MapKind)
    ),
]


class MapParameters(Parameters):
    """Parameters of a request for maps."""

    kind: KindName = "information"
