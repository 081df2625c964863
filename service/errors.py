"""Refusals of the service, and the one place where a refusal becomes an HTTP answer."""

import math
from functools import cache
from typing import NamedTuple, Protocol

import orjson
from starlette.responses import Response
from starlette.types import Scope

from contract.errors import ImageError, InfomaxError
from service.logs import REQUEST_ID
from service.metrics import REJECTIONS

_RETRY_SECONDS = 1.0

# To find a metric by its labels takes longer than to count.
_rejections = cache(REJECTIONS.labels)

PROBLEM_MEDIA_TYPE = "application/problem+json"
V2_PREFIX = "/v2/"
"""Prefix of the paths that belong to the Open Inference Protocol."""

# That protocol has no finer status for a request that is at fault.
_V2_STATUS = {415: 400, 422: 400}

# Status and the setting that raises the limit, by the codes of contract.images and of one failed item.
_ITEM_STATUS = {
    "empty_image": 400,
    "image_too_large": 413,
    "too_many_pixels": 413,
    "unsupported_format": 415,
    "unsupported_variant": 422,
    "too_many_scans": 422,
    "truncated_image": 422,
    "corrupt_image": 422,
    "inference_failed": 500,
}
_ITEM_SETTING = {
    "image_too_large": "INFOMAX_MAX_IMAGE_BYTES",
    "too_many_pixels": "INFOMAX_MAX_IMAGE_PIXELS",
}


class ItemFailure(Protocol):
    """Failure of one image: the code, the sentence and the limit of `service.inference.results.Failed`."""

    @property
    def code(self) -> str: ...
    @property
    def message(self) -> str: ...
    @property
    def limit(self) -> int | None: ...


class SettingsError(InfomaxError):
    """A setting, or the machine, does not allow the service to start."""


class _Rendered(NamedTuple):
    """Answer to every request that one error refuses; the request's id belongs behind its body."""

    status: int
    body: bytes
    fields: tuple[tuple[bytes, bytes], ...]


class ServiceError(InfomaxError):
    """A request that is refused as a whole.

    Attributes:
        status: HTTP status code.
        code: stable, machine-readable reason, one of the codes in docs/errors.md.
        limit: the limit that was exceeded, in the unit of the message.
        setting: the variable that raises the limit.
        retry_after: seconds after which the same request is expected to succeed.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        limit: int | None = None,
        setting: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.limit = limit
        self.setting = setting
        self.retry_after = retry_after
        # What `_answer` makes of it, by protocol: one error may refuse many requests.
        self.rendered: dict[bool, _Rendered] = {}

    def fresh(self) -> "ServiceError":
        """Copy an error that refuses many requests: what is raised collects the frames that it passes."""
        return ServiceError(
            self.status,
            self.code,
            str(self),
            limit=self.limit,
            setting=self.setting,
            retry_after=self.retry_after,
        )


def shown_seconds(seconds: float) -> str:
    """Return a wait for a sentence; never "0.0"."""
    return f"{max(seconds, 0.1):.1f}"


def not_ready(reason: str) -> ServiceError:
    """Make the refusal of a request that will be answered soon."""
    return ServiceError(503, "not_ready", reason, retry_after=_RETRY_SECONDS)


def item_error(failed: ItemFailure, position: int | None = None) -> ServiceError:
    """Refuse a request because one of its images failed; `position` counts from 0."""
    place = "" if position is None else f"Image {position}: "
    return _image_refusal(failed.code, place + failed.message, failed.limit)


def _image_refusal(code: str, message: str, limit: int | None) -> ServiceError:
    status, setting = _ITEM_STATUS.get(code, 422), _ITEM_SETTING.get(code)
    return ServiceError(status, code, message, limit=limit, setting=setting)


def as_service_error(error: Exception) -> ServiceError:
    """Turn any exception into a refusal; an unexpected one reveals nothing of its inside."""
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, ImageError):
        return _image_refusal(error.code, str(error), error.limit)
    if isinstance(error, InfomaxError):
        return ServiceError(500, "internal_error", str(error))
    return ServiceError(
        500,
        "internal_error",
        "The server failed unexpectedly. Its log holds the reason under this request id.",
    )


def refusal(error: Exception, scope: Scope) -> Response:
    """Make the answer to a refused request, in the form of the protocol that its path belongs to.

    Args:
        error: the reason.
        scope: scope of the request.
    """
    return _answer(as_service_error(error), REQUEST_ID.get(), v2=f"{scope['path']}/".startswith(V2_PREFIX))


def problem(error: Exception, request_id: str) -> Response:
    """Make an RFC 9457 answer that OpenAI's clients can read as well, through its `error` member."""
    return _answer(as_service_error(error), request_id, v2=False)


def _answer(reason: ServiceError, request_id: str, *, v2: bool) -> Response:
    """Make the answer to one request, and count the refusal."""
    _rejections(reason.code).inc()
    rendered = reason.rendered.get(v2)
    if rendered is None:
        rendered = reason.rendered[v2] = _render(reason, v2=v2)
    return _ProblemResponse(rendered, rendered.body + orjson.dumps(request_id) + b"}")


class _ProblemResponse(Response):
    """Answer whose headers are known: to encode them takes as long as all the rest."""

    def __init__(self, rendered: _Rendered, body: bytes) -> None:
        self.status_code = rendered.status
        self.background = None
        self.body = body
        self.raw_headers = [(b"content-length", b"%d" % len(body)), *rendered.fields]


def _render(reason: ServiceError, *, v2: bool) -> _Rendered:
    """Write what is the same for all requests that an error refuses."""
    body: dict[str, object]
    if v2:
        # As the Open Inference Protocol has it: a sentence under `error`, beside the usual members.
        status, media_type = _V2_STATUS.get(reason.status, reason.status), "application/json"
        body = {"error": str(reason)}
    else:
        status, media_type = reason.status, PROBLEM_MEDIA_TYPE
        body = {
            "type": f"urn:infomax:error:{reason.code}",
            "title": reason.code.replace("_", " ").capitalize(),
            "status": reason.status,
            "detail": str(reason),
            "error": {
                "message": str(reason),
                "type": "invalid_request_error" if reason.status < 500 else "server_error",
                "code": reason.code,
                "param": None,
            },
        }
    body["code"] = reason.code
    fields = [(b"content-type", media_type.encode())]
    if reason.limit is not None:
        body["limit"] = reason.limit
    if reason.setting is not None:
        body["setting"] = reason.setting
    if reason.retry_after is not None:
        body["retry_after"] = round(reason.retry_after, 3)
        fields.append((b"retry-after", b"%d" % max(1, math.ceil(reason.retry_after))))
    return _Rendered(status, orjson.dumps(body)[:-1] + b',"request_id":', tuple(fields))
