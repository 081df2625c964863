"""Search by a region of an image, or of an item: images that hold what it shows."""

from time import perf_counter
from typing import Any

import numpy as np
from fastapi import Request, Response
from pydantic import Field

from contract.patches import PatchGrid
from contract.placement import place
from service.errors import ServiceError
from service.index.cells import CellGrid
from service.index.items import check_id
from service.index.region_statements import RegionQuery
from service.index.regions import LocalCodes, Rectangle, Region, to_patches
from service.inference.results import Stages, Want
from service.inputs.images import Payload
from service.inputs.parameters import JsonPairs, JsonVector, refused
from service.models.instance import ModelInstance
from service.outputs import accept
from service.outputs.json import dump
from service.outputs.neighbours import neighbours_json
from service.outputs.timing import server_timing
from service.routes.items import stored_item
from service.routes.search_parameters import SearchParameters
from service.routes.whole import embed_all
from service.runtime import runtime_of

# Boxes are answered with two digits, which may round beyond the edge of an image.
_ROUNDING = 0.01


class RegionParameters(SearchParameters):
    """Parameters of a search that may be by a region."""

    id: str | None = Field(default=None, description="id of an item to search by, in place of an image")
    region: JsonVector = Field(
        default=None,
        description="part of the image to search by: [x, y, width, height] in pixels of the upright original",
    )
    patches: JsonPairs = Field(
        default=None, description="the same by patches of a map: [[row, column], ...], counted from 0"
    )

    @property
    def by_region(self) -> bool:
        """Whether the search is by a region."""
        return self.region is not None or self.patches is not None


def invalid_region(message: str) -> ServiceError:
    """Make the refusal of a region."""
    return ServiceError(422, "invalid_region", message)


async def search_regions(
    request: Request,
    served: ModelInstance,
    payload: Payload[Any],
    route: str,
    media_type: str,
    unfit: dict[str, bool],
) -> Response:
    """Answer the items that hold what is most like a region.

    Args:
        request: the request.
        served: model that answers.
        payload: with `RegionParameters`.
        route: template of the route, for the metrics.
        media_type: of the answer.
        unfit: what does not combine with a region, and whether the request has it.

    Raises:
        ServiceError: 422 `invalid_region`, `regions_not_kept` or `invalid_parameter`, 404 `item_not_found`;
            as `Pipeline.embed`.
    """
    parameters: RegionParameters = payload.parameters
    name = "region" if parameters.patches is None else "patches"
    for what, present in {**unfit, "patches": name == "patches" and parameters.region is not None}.items():
        if present:
            raise refused(f"{what} does not combine with a search by region. Leave one of them out.")
    if media_type == accept.PNG:
        raise refused("A search by region has no picture. Accept application/json.")
    if not runtime_of(request).settings.index_regions:
        raise ServiceError(
            422,
            "regions_not_kept",
            "This service keeps no local codes to search regions by. "
            "Set INFOMAX_INDEX_REGIONS=true, then store the images again.",
        )
    grid = served.pipeline.card.patch_grid
    wanted = _box(parameters.region) if parameters.patches is None else _patches(parameters.patches, grid)
    condition, reach = parameters.condition, parameters.reach
    stages = Stages()
    region = await _region(request, served, payload, route, wanted, stages)
    started = perf_counter()
    query = RegionQuery(region, reach, condition, parameters.thoroughness, parameters.min_score)
    hits = (await served.index.search_region(query))[parameters.offset :]
    searched = perf_counter()
    content = dump({"model": served.id, "neighbours": neighbours_json(hits)})
    headers = server_timing(stages, search=searched - started, serialise=perf_counter() - searched)
    return Response(content, headers=headers, media_type=media_type)


async def _region(
    request: Request,
    served: ModelInstance,
    payload: Payload[Any],
    route: str,
    wanted: Rectangle | list[tuple[int, int]],
    stages: Stages,
) -> Region:
    card = served.pipeline.card
    if payload.parameters.id is not None:
        codes, size = await _of_item(served, check_id(payload.parameters.id))
    else:
        (one,) = await embed_all(request, served.pipeline, route, payload.images, Want.PROJECTIONS, stages)
        assert one.projections is not None  # noqa: S101 (they were asked for)
        codes = LocalCodes.of_patches(one.projections.local)
        size = (one.image.original_width, one.image.original_height)
    if not isinstance(wanted, Rectangle):
        return _of_patches(codes, wanted, CellGrid.of(card), by_cells=payload.parameters.id is not None)
    width, height = size
    if wanted.right > width + _ROUNDING or wanted.bottom > height + _ROUNDING:
        raise invalid_region(
            f"The region ends at x = {wanted.right:g}, y = {wanted.bottom:g}. "
            f"Choose one within the image, which has {width} x {height} pixels, upright."
        )
    box = to_patches(wanted, card.patch_grid, place(card.preprocessing, size))
    if box.is_empty:
        raise invalid_region(
            f"The model {served.id} sees nothing of the region: it cuts the edges of an image off. "
            "Choose a region nearer to the middle."
        )
    return Region(codes.inside(box), box)


async def _of_item(served: ModelInstance, item_id: str) -> tuple[LocalCodes, tuple[int, int]]:
    found = await served.index.cells(item_id)
    if found is None:
        await stored_item(served, item_id)
        raise ServiceError(
            422,
            "regions_not_kept",
            f"The item {item_id!a} has no local codes: it is a bare vector, or was stored without "
            "INFOMAX_INDEX_REGIONS. Store its image again.",
        )
    codes = LocalCodes.of_cells(found.cells, CellGrid.of(served.pipeline.card))
    return codes, (found.width, found.height)


def _of_patches(
    codes: LocalCodes, patches: list[tuple[int, int]], grid: CellGrid, *, by_cells: bool
) -> Region:
    rows, columns = np.array(patches).T
    box = Rectangle(float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1))
    if by_cells:
        numbers = rows // grid.step * grid.columns + columns // grid.step
    else:
        numbers = rows * grid.patches.columns + columns
    return Region(codes.at(np.unique(numbers)), box)


def _box(value: object) -> Rectangle:
    """Read [x, y, width, height].

    Raises:
        ServiceError: 422 `invalid_region`.
    """
    if not isinstance(value, list) or len(value) != 4 or not set(map(type, value)) <= {int, float}:
        raise invalid_region("A region is four numbers: [x, y, width, height] in pixels of the image.")
    x, y, width, height = (float(number) if abs(number) < 1e9 else np.inf for number in value)
    box = Rectangle(x, y, x + width, y + height)
    if not np.isfinite([x, y, width, height]).all():
        raise invalid_region("A number of the region is too large for any image. Write it in pixels.")
    if width <= 0 or height <= 0:
        raise invalid_region(f"The region has the size {width:g} x {height:g}. Choose one above 0.")
    if x < 0 or y < 0:
        raise invalid_region(f"The region begins at x = {x:g}, y = {y:g}. The least of either is 0.")
    return box


def _patches(value: object, grid: PatchGrid) -> list[tuple[int, int]]:
    """Read [[row, column], ...].

    Raises:
        ServiceError: 422 `invalid_region`.
    """
    if not isinstance(value, list) or not value or not all(map(_is_pair, value)):
        raise invalid_region("patches is a list of at least one [row, column], integers counted from 0.")
    most = grid.rows * grid.columns
    if len(value) > most:
        raise invalid_region(
            f"patches holds {len(value):,} patches, maps of this model {most}. Name each once."
        )
    for row, column in value:
        if not (0 <= row < grid.rows and 0 <= column < grid.columns):
            raise invalid_region(
                f"There is no patch [{row}, {column}]: maps of this model have {grid.rows} rows and "
                f"{grid.columns} columns, counted from 0. Choose others."
            )
    return [(row, column) for row, column in value]


def _is_pair(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and set(map(type, value)) == {int}
