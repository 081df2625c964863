"""Search by a region of an image, or of an item: images that hold what it shows."""

from time import perf_counter
from typing import Any

import numpy as np
import orjson
from fastapi import Request, Response
from pydantic import Field

from contract.patches import PatchGrid
from contract.placement import place
from service.errors import ServiceError
from service.index.cells import CellGrid
from service.index.items import check_id
from service.index.region_matching import LocalCodes, Rectangle, Region, to_patches
from service.index.region_search import LEAST_SIDE
from service.index.region_statements import RegionQuery
from service.inference.results import Stages, Want
from service.inputs.images import Payload
from service.inputs.parameters import JsonPairs, JsonVector, refused
from service.models.instance import ModelInstance
from service.outputs import accept
from service.outputs.json import dump
from service.outputs.lines import NDJSON
from service.outputs.neighbours import neighbours_json
from service.outputs.timing import server_timing
from service.routes.items import stored_item
from service.routes.search_parameters import SearchParameters
from service.routes.side_lines import SideLines
from service.routes.whole import embed_all
from service.runtime import runtime_of

# No image has as many pixels along a side.
_MOST = 10**9
_SHOWN = 40


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
    if parameters.region is not None and parameters.patches is not None:
        raise refused(
            f"Both region, {_shown(parameters.region)}, and patches, {_shown(parameters.patches)}, say which "
            "part to search by, and at most one of them may. Leave the other out."
        )
    for what, present in unfit.items():
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
    found = await served.index.search_region(query)
    searched = perf_counter()
    if found.items and found.without_regions == found.items:
        raise ServiceError(
            422,
            "regions_not_kept",
            f"None of the {found.items:,} items of the model {served.id} has local codes: they were stored "
            "without INFOMAX_INDEX_REGIONS, or as bare vectors. Store their images again, or run infomax "
            "reindex where originals are kept.",
        )
    answer = {
        "model": served.id,
        "neighbours": neighbours_json(found.hits[parameters.offset :]),
        "items_without_regions": found.without_regions,
    }
    content = dump(answer)
    headers = server_timing(stages, search=searched - started, serialise=perf_counter() - searched)
    if media_type == NDJSON:
        return SideLines(content, None, headers)
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
    # Places of hits are rounded, maybe beyond the edge of an image.
    if wanted.right > width + LEAST_SIDE or wanted.bottom > height + LEAST_SIDE:
        raise invalid_region(
            f"The region ends at x = {wanted.right:g}, y = {wanted.bottom:g}. "
            f"Choose one within the image, which has {width} x {height} pixels, upright."
        )
    box = to_patches(wanted, card.patch_grid, place(card.preprocessing, size))
    if box.is_empty:
        raise invalid_region(
            f"The model {served.id} cuts the edges of an image off, and so all of the region from "
            f"x = {wanted.left:g}, y = {wanted.top:g} to x = {wanted.right:g}, y = {wanted.bottom:g}. "
            "Choose one nearer to the middle."
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
        raise invalid_region(
            f"The region is {_shown(value)}. Write four numbers: [x, y, width, height] in pixels."
        )
    if max(map(abs, value)) >= _MOST:
        raise invalid_region(
            f"The region {_shown(value)} has a number of {_MOST:,} or more. Write it in pixels of the image."
        )
    x, y, width, height = map(float, value)
    if width < LEAST_SIDE or height < LEAST_SIDE:
        raise invalid_region(
            f"The region has {width:g} x {height:g} pixels, and the least of either is {LEAST_SIDE:g}. "
            "Choose a larger one."
        )
    if x < 0 or y < 0:
        raise invalid_region(f"The region begins at x = {x:g}, y = {y:g}. The least of either is 0.")
    return Rectangle(x, y, x + width, y + height)


def _patches(value: object, grid: PatchGrid) -> list[tuple[int, int]]:
    """Read [[row, column], ...].

    Raises:
        ServiceError: 422 `invalid_region`.
    """
    if not isinstance(value, list) or not value:
        raise invalid_region(f"patches is {_shown(value)}. Write a list of at least one [row, column].")
    most = grid.rows * grid.columns
    if len(value) > most:
        raise invalid_region(
            f"patches holds {len(value):,} patches, maps of this model {most}. Name each once."
        )
    for number, pair in enumerate(value):
        if not _is_pair(pair):
            raise invalid_region(
                f"patches[{number}] is {_shown(pair)}. Write [row, column], two integers counted from 0."
            )
        row, column = pair
        if not (0 <= row < grid.rows and 0 <= column < grid.columns):
            raise invalid_region(
                f"There is no patch [{row}, {column}]: maps of this model have {grid.rows} rows and "
                f"{grid.columns} columns, counted from 0. Choose others."
            )
    return [(row, column) for row, column in value]


def _is_pair(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and set(map(type, value)) == {int}


def _shown(value: object) -> str:
    """Write a value as JSON, its first characters where it is long."""
    text = ascii(orjson.dumps(value).decode())[1:-1]
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
