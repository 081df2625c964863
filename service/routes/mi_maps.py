"""POST /v1/mi-maps: for each image, the pointwise MI of its patches and a code, in nats."""

from collections.abc import Sequence
from functools import partial
from time import perf_counter

import numpy as np
from fastapi import APIRouter, Request, Response
from numpy.typing import NDArray

from contract.card import ModelCard
from contract.images import ImageLimits, open_rgb
from contract.placement import place
from service.errors import item_error
from service.http.deadlines import within_deadline
from service.http.disconnect import while_connected
from service.inference.pipeline import Pipeline
from service.inference.results import Embedded, Failed, Stages, Want
from service.inputs.images import Layout, Payload, no_image, one_image_expected, read_payload
from service.inputs.parameters import Parameters, parse
from service.outputs import accept
from service.outputs.arrays import npy
from service.outputs.heat_map import Picture, draw_heat_map
from service.outputs.mi_maps import maps_json
from service.outputs.painter import Painter
from service.outputs.timing import server_timing
from service.routes import description
from service.routes.early_refusal import refuse_early
from service.routes.whole import embed_all
from service.runtime import runtime_of, served_for

PATH = "/v1/mi-maps"

router = APIRouter(tags=["images"])

_REFERENCE = "reference"
_LAYOUT = Layout("input", several=True, named=(_REFERENCE,))
_OFFERED = (accept.JSON, accept.NPY, accept.PNG)
_PAINTER = Painter()


@router.post(
    PATH,
    summary="Map what each patch tells about an image's code",
    responses=description.answers(*_OFFERED),
    openapi_extra=description.operation(PATH, Parameters, _LAYOUT, timed=True),
)
@within_deadline
@refuse_early()
async def create_mi_maps(request: Request) -> Response:
    """Map every image of the request, against its own code or the reference's, or refuse it as a whole."""
    runtime = runtime_of(request)
    media_type = accept.choose(request.headers.get("accept", ""), _OFFERED)
    payload = await read_payload(request, _LAYOUT, runtime.settings)
    if not payload.images:
        raise no_image("name it in the member input, or send it as a file of the form")
    parameters = parse(Parameters, payload.members)
    if media_type == accept.PNG and len(payload.images) > 1:
        raise one_image_expected(len(payload.images), "a PNG shows one; accept application/json for all")
    served = served_for(request, parameters.model)
    card = served.pipeline.card
    stages = Stages()
    embedded, reference = await _embed(request, served.pipeline, payload, stages)
    started = perf_counter()
    maps = _maps(embedded, reference)
    if media_type == accept.NPY:
        content = npy(np.stack(maps))
    elif media_type == accept.PNG:
        paint = partial(_draw, payload.images[0], maps[0], card, runtime.settings.image_limits, reference)
        original = embedded[0].image
        pixels = original.original_width * original.original_height
        painting = _PAINTER.paint(paint, pixels, runtime.settings.queue_seconds)
        content = await while_connected(request, painting)
    else:
        content = maps_json(card, embedded, maps, reference.image if reference else None)
    headers = server_timing(stages, serialise=perf_counter() - started)
    return Response(content, headers=headers, media_type=media_type)


async def _embed(
    request: Request, pipeline: Pipeline, payload: Payload, stages: Stages
) -> tuple[list[Embedded], Embedded | None]:
    """Embed the images, and the reference where there is one, in one call."""
    if _REFERENCE not in payload.named:
        return await embed_all(request, pipeline, PATH, payload.images, Want.MAP, stages), None
    images = [*payload.images, payload.named[_REFERENCE]]
    *embedded, reference = await embed_all(
        request, pipeline, PATH, images, Want.PROJECTIONS, stages, names={len(images) - 1: "The reference"}
    )
    return embedded, reference


def _maps(embedded: Sequence[Embedded], reference: Embedded | None) -> list[NDArray[np.float32]]:
    """Return one map [M, M] in nats for each image.

    Raises:
        ServiceError: 500 `inference_failed` for a map that is not finite.
    """
    if reference is None:
        return [one.mi_map for one in embedded if one.mi_map is not None]
    assert reference.projections is not None  # noqa: S101 (projections were asked for)
    code = reference.projections.global_
    maps = [one.projections.against_code(code) for one in embedded if one.projections is not None]
    for position, mi_map in enumerate(maps):
        if not np.isfinite(mi_map).all():
            failed = Failed("inference_failed", "The map of this image and the reference is not finite.")
            raise item_error(failed, position if len(maps) > 1 else None)
    return maps


def _draw(
    data: bytes,
    mi_map: NDArray[np.float32],
    card: ModelCard,
    limits: ImageLimits,
    reference: Embedded | None,
) -> bytes:
    """Draw the picture; runs in the painter's thread."""
    rule = card.preprocessing
    whose = "the image's own code" if reference is None else "the reference's code"
    image = open_rgb(data, limits, rule.background, rule.color_profile)
    picture = Picture(
        image=image,
        mi_map=mi_map,
        grid=card.patch_grid,
        placement=place(rule, image.size),
        label=f"pointwise MI with {whose}, nats",
    )
    return draw_heat_map(picture)
