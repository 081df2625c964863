"""A collector of OpenTelemetry: what the exporter sends over HTTP, decoded."""

import gzip
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as ProtoSpan

_LONGEST_WAIT = 60.0


@dataclass(frozen=True)
class Received:
    """One span.

    Attributes:
        name: its name.
        kind: as the protocol numbers them.
        trace, id, parent: in hexadecimal digits; the parent of a root is empty.
        start, end: nanoseconds since 1970.
        error: whether its status says so.
        attributes, resource: its own, and those of the process.
    """

    name: str
    kind: int
    trace: str
    id: str
    parent: str
    start: int
    end: int
    error: bool
    attributes: dict[str, str | int]
    resource: dict[str, str | int]


class Collector:
    """Spans that have arrived.

    Attributes:
        url: what OTEL_EXPORTER_OTLP_ENDPOINT names.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._spans: list[Received] = []
        self._came = Condition()

    def wait_for(self, enough: Callable[[list[Received]], bool]) -> list[Received]:
        """Wait for spans that are enough, and return all."""
        with self._came:
            assert self._came.wait_for(lambda: enough(self._spans), _LONGEST_WAIT), self._spans
            return [*self._spans]

    def take(self, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        with self._came:
            for resource in request.resource_spans:
                process = _values(resource.resource.attributes)
                for scope in resource.scope_spans:
                    self._spans += [_received(span, process) for span in scope.spans]
            self._came.notify_all()


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            assert self.headers["Content-Type"] == "application/x-protobuf"
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.take(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector = Collector(f"http://127.0.0.1:{server.server_port}")
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()


def _received(span: ProtoSpan, process: dict[str, str | int]) -> Received:
    return Received(
        span.name,
        span.kind,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        span.status.code == 2,
        _values(span.attributes),
        process,
    )


def _values(attributes: Iterable[KeyValue]) -> dict[str, str | int]:
    return {
        one.key: one.value.int_value if one.value.HasField("int_value") else one.value.string_value
        for one in attributes
    }
