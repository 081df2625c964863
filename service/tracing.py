"""Spans of OpenTelemetry: requests and what they wait for. No SDK is imported unless tracing is started.

Spans below a request are made only where the request's own span is recorded, so that a sampler decides once.
"""

import os
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.metadata import version
from time import perf_counter, time_ns
from typing import TYPE_CHECKING

from contract.errors import InfomaxError
from contract.extras import installation

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, Tracer

# A collector that is away must not keep a worker from ending.
_FLUSH_SECONDS = 2.0
_SERVER_ERROR = 500

_provider: "TracerProvider | None" = None
_tracer: "Tracer | None" = None
_NOT_TRACED: AbstractContextManager[None] = nullcontext()


class TracingError(InfomaxError):
    """Tracing is switched on and cannot begin."""


def check_installed() -> None:
    """Import what tracing needs.

    Raises:
        TracingError: it is not installed.
    """
    try:
        import opentelemetry.exporter.otlp.proto.http.trace_exporter
        import opentelemetry.sdk.trace  # noqa: F401
    except ImportError as error:
        raise TracingError(
            f"INFOMAX_TRACING is on, and OpenTelemetry's exporter is not installed. {installation('tracing')}"
        ) from error


def start(worker: int) -> None:
    """Send the spans of this process to the collector that the OTEL_... variables name.

    Raises:
        TracingError: the exporter is not installed, or a variable has a value that it refuses.
    """
    global _provider, _tracer
    check_installed()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    own = {
        "service.name": "infomax",
        "service.version": version("infomax"),
        "service.instance.id": f"{socket.gethostname()}-{os.getpid()}-{worker}",
    }
    # The variables come last: they win.
    resource = Resource.create().merge(Resource(own)).merge(OTELResourceDetector().detect())
    try:
        provider = TracerProvider(resource=resource)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    except ValueError as error:
        given = ", ".join(sorted(name for name in os.environ if name.startswith("OTEL_")))
        raise TracingError(
            f"OpenTelemetry refuses a variable ({' '.join(str(error).split())}). Correct the one of {given} "
            "that it means."
        ) from error
    _provider = provider
    _tracer = _provider.get_tracer("infomax", version("infomax"))


def stop() -> None:
    """Send what is left, for a moment at most."""
    global _provider, _tracer
    if _provider is not None:
        flush = threading.Thread(target=_provider.shutdown, name="infomax-last-spans", daemon=True)
        flush.start()
        flush.join(_FLUSH_SECONDS)
    _provider = _tracer = None


def request(
    method: str, path: str, headers: Iterable[tuple[bytes, bytes]]
) -> "AbstractContextManager[Span | None]":
    """Make the span of a request, below that of its client where `traceparent` names one."""
    return _NOT_TRACED if _tracer is None else _request(_tracer, method, path, headers)


@contextmanager
def _request(
    tracer: "Tracer", method: str, path: str, headers: Iterable[tuple[bytes, bytes]]
) -> "Iterator[Span]":
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier = {str(name, "latin-1"): str(value, "latin-1") for name, value in headers}
    with tracer.start_as_current_span(
        method,
        TraceContextTextMapPropagator().extract(carrier),
        SpanKind.SERVER,
        {"http.request.method": method, "url.path": path},
    ) as span:
        yield span


def end_request(span: "Span", method: str, route: str, status: int) -> str:
    """Note how a request ended; its trace id, as logs show it."""
    from opentelemetry.trace import StatusCode, format_trace_id

    span.update_name(f"{method} {route}")
    span.set_attributes({"http.route": route, "http.response.status_code": status})
    if status >= _SERVER_ERROR:
        span.set_status(StatusCode.ERROR)
    return format_trace_id(span.get_span_context().trace_id)


def current() -> "Context | None":
    """Return the context that spans of this task belong to; None where it is not traced."""
    if _tracer is None:
        return None
    from opentelemetry import context, trace

    return context.get_current() if trace.get_current_span().is_recording() else None


def add(
    name: str,
    parent: "Context",
    started: float,
    ended: float,
    attributes: Mapping[str, str | int],
) -> None:
    """Add a span that is over; its times are those of `perf_counter`."""
    if _tracer is not None:
        span = _tracer.start_span(name, parent, attributes=attributes, start_time=_epoch(started))
        span.end(_epoch(max(started, ended)))


def database(operation: str) -> AbstractContextManager[None]:
    """Make the span of a call of the index's database."""
    if _tracer is None:
        return _NOT_TRACED
    return call(f"index {operation}", {"db.system.name": "postgresql", "db.operation.name": operation})


def call(name: str, attributes: Mapping[str, str | int]) -> AbstractContextManager[None]:
    """Make the span of a call of another process."""
    return _NOT_TRACED if _tracer is None or current() is None else _call(_tracer, name, attributes)


@contextmanager
def _call(tracer: "Tracer", name: str, attributes: Mapping[str, str | int]) -> Iterator[None]:
    from opentelemetry.trace import SpanKind

    with tracer.start_as_current_span(name, kind=SpanKind.CLIENT, attributes=attributes):
        yield


def _epoch(time: float) -> int:
    """Nanoseconds since 1970 of a time of `perf_counter`."""
    return time_ns() - round((perf_counter() - time) * 1e9)
