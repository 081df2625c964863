"""Shared part of the routes that take a stream of images."""

from typing import Any, TypeVar

from fastapi import Request

from service.http.request_context import context_of
from service.inputs.body import media_type, refuse_file_name
from service.inputs.content_encoding import body_pieces
from service.inputs.formats import ADVERTISED, reader_for
from service.inputs.stream import StreamLimits
from service.runtime import runtime_of
from service.streaming.body import DuplexBody
from service.streaming.response import AnswerFormat, StreamResponse
from service.streaming.stream import ItemHandler, Stream, Window
from service.streaming.writer import UnreadLimits

T = TypeVar("T")

REQUEST_BODY: dict[str, Any] = {
    "required": True,
    "description": "A stream of images of any length.",
    "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in ADVERTISED},
}


def stream_response(
    request: Request, route: str, handler: ItemHandler[T], form: AnswerFormat
) -> StreamResponse:
    """Answer the stream in the request's body.

    Args:
        request: a request whose body is not read yet.
        route: template of the route, for the metrics.
        handler: handles the items.
        form: writes the answers.

    Raises:
        ServiceError: 415 `unsupported_media_type` or `unsupported_encoding`.
    """
    settings = runtime_of(request).settings
    reader = reader_for(media_type(request))
    body = DuplexBody(request.receive)
    context_of(request).client_sends = body.is_coming
    pieces = refuse_file_name(body_pieces(request, body.pieces()))
    groups = reader(pieces, request.headers.get("content-type", ""), StreamLimits.of(settings))
    stream = Stream(groups, handler, Window.of(settings))
    return StreamResponse(stream, body, form, route, UnreadLimits.of(settings))
