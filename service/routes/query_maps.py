"""Maps of the image that a search is by, of each kind that was asked for: the image is sent once."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

from contract.map_kinds import MapKind
from service.errors import ServiceError, item_error
from service.inference.maps import PatchMap
from service.inference.results import Embedded, Failed, Want
from service.models.instance import ModelInstance
from service.outputs.mi_maps import map_json, measured_json
from service.streaming.maps import ModelMaps

_KINDS = tuple(MapKind)
_NAMES = "^({0})( *, *({0}))*$".format("|".join(_KINDS))
# What a search finds nothing wrong with: an index without another image, a model without such maps.
_NO_MAP = ("no_neighbours", "no_contributions")


def _kinds(value: object) -> tuple[MapKind, ...]:
    """Read names that are separated by commas, each once, in their order."""
    if not isinstance(value, str):
        raise ValueError("it must be a string of names, separated by commas")
    names = tuple(dict.fromkeys(name.strip() for name in value.split(",")))
    if unknown := set(names) - set(_KINDS):
        raise ValueError(f"there is no kind {min(unknown)[:40]!a}; there are {', '.join(_KINDS)}")
    return tuple(map(MapKind, names))


MapKinds = Annotated[
    tuple[MapKind, ...],
    BeforeValidator(_kinds),
    WithJsonSchema({"type": "string", "pattern": _NAMES}),
    Field(
        description="kinds of maps of the query's image to answer too, separated by commas: "
        + ", ".join(_KINDS),
        # A string that is left out is none: an empty one is not allowed.
        json_schema_extra=lambda schema: schema.pop("default", None),
    ),
]


def want_of(kinds: Iterable[MapKind], *, explain: bool) -> Want:
    """Return how much of the model answers maps of these kinds, and explanations."""
    kinds = set(kinds)
    projections = explain or MapKind.CONTRAST in kinds
    if MapKind.CONTRIBUTION in kinds:
        return Want.ALL if projections or MapKind.INFORMATION in kinds else Want.CONTRIBUTION
    if projections:
        return Want.PROJECTIONS
    return Want.MAP if kinds else Want.EMBEDDING


async def missing_contributions(served: ModelInstance, kinds: Sequence[MapKind]) -> Failed | None:
    """Return why a model has no maps of contribution, where they are asked for; None where it has."""
    if MapKind.CONTRIBUTION not in kinds:
        return None
    try:
        await served.pipeline.contributions.open()
    except ServiceError as error:
        return Failed(error.code, str(error))
    return None


async def map_query(
    served: ModelInstance, kinds: Sequence[MapKind], image: Embedded, missing: Failed | None
) -> Mapping[MapKind, PatchMap | Failed]:
    """Map an image that was embedded with what `want_of` the kinds says; `missing` are its contributions.

    Raises:
        ServiceError: 500 `inference_failed` for a map that is not finite, 503 `index_unavailable`.
    """
    made: dict[MapKind, PatchMap | Failed] = {}
    for kind in kinds:
        if kind is MapKind.CONTRIBUTION and missing is not None:
            made[kind] = missing
            continue
        found = await ModelMaps(kind, served.pipeline, served.index).map(image)
        if isinstance(found, Failed) and found.code not in _NO_MAP:
            raise item_error(found)
        made[kind] = found
    return made


def maps_json(served: ModelInstance, maps: Mapping[MapKind, PatchMap | Failed]) -> list[dict[str, object]]:
    """Return one entry for each kind, for `service.outputs.json.dump`: its map, or why there is none."""
    card, precision = served.pipeline.card, served.pipeline.report.precision.active
    return [
        {"kind": kind, "error": {"code": one.code, "message": one.message}}
        if isinstance(one, Failed)
        else {**map_json(one), "measured": measured_json(card.measure_of(kind, precision))}
        for kind, one in maps.items()
    ]
