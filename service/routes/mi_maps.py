"""POST /v1/mi-maps: for each image, a map of its patches: information, contribution or contrast."""

from functools import partial
from time import perf_counter

import numpy as np
from fastapi import APIRouter, Request, Response

from contract.card import ModelCard
from contract.image_limits import ImageLimits
from contract.images import open_rgb
from contract.map_kinds import MapKind
from contract.patches import PatchGrid
from contract.placement import place
from service.http.deadlines import within_deadline
from service.http.disconnect import while_connected
from service.inference.maps import WANTS, PatchMap
from service.inference.pipeline import Pipeline
from service.inference.results import Embedded, Stages, Want
from service.inputs.images import Layout, Payload, no_image, one_image_expected, read_payload
from service.inputs.parameters import refused
from service.outputs import accept
from service.outputs.arrays import npy
from service.outputs.heat_map import Picture, draw_heat_map
from service.outputs.mi_maps import maps_json
from service.outputs.painter import Painter
from service.outputs.timing import server_timing
from service.routes import description
from service.routes.early_refusal import refuse_early
from service.routes.map_parameters import MapParameters, check_resolution
from service.routes.whole import embed_all, map_all
from service.runtime import runtime_of, served_for
from service.streaming.maps import ModelMaps

PATH = "/v1/mi-maps"

router = APIRouter(tags=["images"])

_REFERENCE = "reference"
_THE_REFERENCE = "The reference"
_LAYOUT = Layout("input", several=True, named=(_REFERENCE,))
_OFFERED = (accept.JSON, accept.NPY, accept.PNG)
_PAINTER = Painter()
_CROSSED_LABEL = "pointwise MI with the reference's code, nats"


@router.post(
    PATH,
    summary="Map the patches of images: information, contribution or contrast",
    responses=description.answers(*_OFFERED),
    openapi_extra=description.operation(PATH, MapParameters, _LAYOUT, timed=True),
)
@within_deadline
@refuse_early()
async def create_mi_maps(request: Request) -> Response:
    """Map every image of the request, or refuse it as a whole."""
    runtime = runtime_of(request)
    media_type = accept.choose(request.headers.get("accept", ""), _OFFERED)
    payload = await read_payload(request, MapParameters, _LAYOUT, runtime.settings)
    if not payload.images:
        raise no_image("name it in the member input, or send it as a file of the form")
    parameters = payload.parameters
    kind, resolution = MapKind(parameters.kind), parameters.resolution
    check_resolution(kind, resolution)
    if kind is MapKind.CONTRIBUTION and _REFERENCE in payload.named:
        raise refused(
            "kind=contribution is about the image's own code, and the request holds a reference. Leave the "
            "reference out, or ask for kind=contrast or kind=information."
        )
    if media_type == accept.PNG and len(payload.images) > 1:
        raise one_image_expected(len(payload.images), "a PNG shows one; accept application/json for all")
    served = served_for(request, parameters.model)
    card = served.pipeline.card
    grid = card.patch_grid.finer(resolution)
    stages = Stages()
    embedded, reference = await _embed(request, served.pipeline, payload, WANTS[kind], resolution, stages)
    maps = await map_all(ModelMaps(kind, served.pipeline, served.index), embedded, reference)
    started = perf_counter()
    if media_type == accept.NPY:
        content = npy(np.stack([one.values for one in maps]))
    elif media_type == accept.PNG:
        limits, crossed = runtime.settings.image_limits, reference is not None
        paint = partial(_draw, payload.images[0], maps[0], card, grid, limits, crossed=crossed)
        original = embedded[0].image
        pixels = original.original_width * original.original_height
        painting = _PAINTER.paint(paint, pixels, runtime.settings.queue_seconds)
        content = await while_connected(request, painting)
    else:
        precision = served.pipeline.report.precision.active
        content = maps_json(card, precision, grid, embedded, maps, reference.image if reference else None)
    headers = server_timing(stages, serialise=perf_counter() - started)
    return Response(content, headers=headers, media_type=media_type)


async def _embed(
    request: Request,
    pipeline: Pipeline,
    payload: Payload[MapParameters],
    want: Want,
    resolution: int,
    stages: Stages,
) -> tuple[list[Embedded], Embedded | None]:
    """Embed the images, and the reference where there is one."""
    embed = partial(embed_all, request, pipeline, PATH, stages=stages)
    if _REFERENCE not in payload.named:
        return await embed(payload.images, want, resolution=resolution), None
    if resolution > 1:
        # Only the reference's code is needed, so it has no windows.
        (reference,) = await embed([payload.named[_REFERENCE]], Want.PROJECTIONS, names={0: _THE_REFERENCE})
        return await embed(payload.images, want, resolution=resolution), reference
    images = [*payload.images, payload.named[_REFERENCE]]
    *embedded, reference = await embed(images, Want.PROJECTIONS, names={len(images) - 1: _THE_REFERENCE})
    return embedded, reference


def _draw(
    data: bytes,
    patch_map: PatchMap,
    card: ModelCard,
    grid: PatchGrid,
    limits: ImageLimits,
    *,
    crossed: bool,
) -> bytes:
    """Draw the picture; runs in the painter's thread."""
    rule = card.preprocessing
    meaning = patch_map.kind.meaning
    information = patch_map.kind is MapKind.INFORMATION
    image = open_rgb(data, limits, rule.background, rule.color_profile)
    picture = Picture(
        image=image,
        mi_map=patch_map.values,
        grid=grid,
        placement=place(rule, image.size),
        label=_CROSSED_LABEL if crossed and information else meaning.label,
        unit=meaning.unit,
        ceiling=patch_map.ceiling,
    )
    return draw_heat_map(picture)
