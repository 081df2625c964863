"""Images of one request, all of them or none."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from fastapi import Request

from service.errors import ServiceError, item_error
from service.http.disconnect import while_connected
from service.http.request_context import context_of
from service.inference.outcome_counters import count_outcomes
from service.inference.pipeline import Pipeline
from service.inference.results import Embedded, Failed, Priority, Stages, Want


async def embed_all(
    request: Request,
    pipeline: Pipeline,
    route: str,
    images: Sequence[bytes],
    want: Want,
    stages: Stages | None = None,
    names: Mapping[int, str] | None = None,
) -> list[Embedded]:
    """Every image's answer, for a client who waits for it.

    Args:
        request: its body is read; when its client goes away, or its deadline passes, the images leave the
            queue.
        pipeline: of the model that answers.
        route: template of the route, for the metrics.
        images: encoded images.
        want: how much of the model to run.
        stages: filled with where the time went.
        names: what to call an image at a position, where the client did not send it as one of many.

    Raises:
        ServiceError: of the first image that failed, with its name or, where there are several, its
            position; and as `Pipeline.embed`.
    """
    context = context_of(request)
    work = pipeline.embed(
        images, want, Priority.INTERACTIVE, stages, deadline=context.deadline, quota=context.quota
    )
    outcomes = await while_connected(request, work)
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
