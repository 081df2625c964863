"""Embeddings and maps of a request's images, all of them or none."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from fastapi import Request

from service.errors import ServiceError, item_error
from service.http.disconnect import while_connected
from service.http.request_context import context_of
from service.inference.maps import PatchMap
from service.inference.outcome_counters import count_outcomes
from service.inference.pipeline import Pipeline
from service.inference.results import Embedded, Failed, Priority, Stages, Want
from service.streaming.maps import ModelMaps


async def embed_all(
    request: Request,
    pipeline: Pipeline,
    route: str,
    images: Sequence[bytes],
    want: Want,
    stages: Stages | None = None,
    names: Mapping[int, str] | None = None,
    resolution: int = 1,
) -> list[Embedded]:
    """Answer every image for a client that waits; refuse the request where one image fails.

    Args:
        request: a request whose body is read. When its client closes the connection or its deadline passes,
            the images leave the queue.
        pipeline: pipeline of the model.
        route: template of the route, for the metrics.
        images: encoded images.
        want: how much of the model to run.
        stages: filled with the times of the stages.
        resolution: of maps, as `Pipeline.embed`.
        names: names for images that the client did not send as one of many, by position.

    Raises:
        ServiceError: the failure of the first image that failed, with its name or, among several, its
            position; and as `Pipeline.embed`.
    """
    context = context_of(request)
    answers = pipeline.embed(
        images,
        want,
        Priority.INTERACTIVE,
        stages,
        deadline=context.deadline,
        quota=context.quota,
        resolution=resolution,
    )
    outcomes = await while_connected(request, answers)
    count_outcomes(route, outcomes)
    embedded: list[Embedded] = []
    for position, outcome in enumerate(outcomes):
        if isinstance(outcome, Failed):
            raise _refusal(outcome, position, len(images), names or {})
        embedded.append(outcome)
    return embedded


def _refusal(failed: Failed, position: int, count: int, names: Mapping[int, str]) -> ServiceError:
    if position in names:
        return item_error(replace(failed, message=f"{names[position]}: {failed.message}"))
    return item_error(failed, position if count - len(names) > 1 else None)


async def map_all(
    maps: ModelMaps, embedded: Sequence[Embedded], reference: Embedded | None = None
) -> list[PatchMap]:
    """Return one map for each image.

    Raises:
        ServiceError: 500 `inference_failed` for a map that is not finite, 422 `no_neighbours`, 503
            `index_unavailable`.
    """
    made: list[PatchMap] = []
    for position, one in enumerate(embedded):
        result = await maps.map(one, reference)
        if isinstance(result, Failed):
            raise item_error(result, position if len(embedded) > 1 else None)
        made.append(result)
    return made
