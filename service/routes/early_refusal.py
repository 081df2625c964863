"""Refusal of a request before its body is read, where no model could answer it soon.

An overloaded service refuses far more than it answers, so a refusal costs neither an exception nor the
reading of images.
"""

from collections.abc import Callable
from functools import wraps

from fastapi import Request
from starlette.responses import Response

from service.errors import refusal
from service.http.deadlines import Route
from service.http.request_context import context_of
from service.inputs.body import media_type
from service.runtime import runtime_of


def refuse_early(brings_images: Callable[[Request], bool] = lambda _: True) -> Callable[[Route], Route]:
    """Let a route refuse what would wait too long, or past its deadline, whichever model it names.

    Args:
        brings_images: whether a request waits for a model, by its head; what may not is not refused.
    """

    def wrap(route: Route) -> Route:
        @wraps(route)
        async def bounded(request: Request) -> Response:
            if brings_images(request):
                reason = runtime_of(request).models.refusal(context_of(request).deadline)
                if reason is not None:
                    return refusal(reason, request.scope)
            return await route(request)

        return bounded

    return wrap


def is_image(request: Request) -> bool:
    """Tell whether the body is one image, and not a form or JSON, which may hold a vector in its place."""
    kind = media_type(request)
    return kind in ("", "application/octet-stream") or kind.startswith("image/")
