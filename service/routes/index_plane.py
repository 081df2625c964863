"""GET /v1/index/plane: a sample of the index on the plane in which its embeddings differ most."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from fastapi import APIRouter, Request, Response
from pydantic import Field

from service.http.deadlines import within_deadline
from service.http.disconnect import while_connected
from service.index.plane import MOST_POINTS, plane_of_items
from service.inputs.parameters import Parameters, merge, parse, query_of
from service.outputs import accept
from service.outputs.json import json_response
from service.routes import description
from service.runtime import served_for

PATH = "/v1/index/plane"

router = APIRouter(tags=["index"])

# One plane at a time: others wait, and the cores are left to embeddings.
_THREAD = ThreadPoolExecutor(1, thread_name_prefix="plane")


class PlaneParameters(Parameters):
    """Parameters of a plane."""

    limit: int = Field(default=MOST_POINTS, ge=1, le=MOST_POINTS, description="most items of the sample")


@router.get(
    PATH,
    summary="A sample of the index on the plane in which its embeddings differ most",
    responses=description.answers(accept.JSON),
    openapi_extra=description.operation(PATH, PlaneParameters, timed=True),
)
@within_deadline
async def get_plane(request: Request) -> Response:
    """Compute the first two principal components of a sample, and where its items lie along them."""
    asked = parse(PlaneParameters, merge(query_of(request)))
    served = served_for(request, asked.model)
    items, total = await served.index.sample(asked.limit)
    fitting = asyncio.get_running_loop().run_in_executor(_THREAD, plane_of_items, items)
    plane = await while_connected(request, fitting)
    empty = np.zeros(0, np.float32)
    answer = {
        "model": served.id,
        "items": total,
        "sampled": len(items),
        "mean": empty if plane is None else plane.mean,
        "axes": np.zeros((2, 0), np.float32) if plane is None else plane.axes,
        "shares": empty if plane is None else plane.shares,
        "points": []
        if plane is None
        else [
            {
                "id": item.id,
                "x": float(x),
                "y": float(y),
                "metadata": item.metadata,
                "thumbnail": item.thumbnail,
            }
            for item, (x, y) in zip(items, plane.points, strict=True)
        ],
    }
    return json_response(answer)
