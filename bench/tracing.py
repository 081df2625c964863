"""Processor time that traces take of one request: switched off, on, and on for one request in a hundred.

python -m bench.tracing

The spans are those of an image that is embedded and searched for, and a process beside takes them.
"""

import multiprocessing
import os
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from time import perf_counter, process_time, sleep

from service import tracing

_HEADERS = [(b"host", b"localhost:8000"), (b"content-type", b"image/jpeg"), (b"accept", b"*/*")]
_REQUESTS = 5000
# So many spans wait in the exporter's queue at most, or it would drop the rest.
_BURST, _PAUSE_SECONDS = 100, 0.02


class _Sink(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


def main() -> None:
    """Print microseconds of a request."""
    server = HTTPServer(("127.0.0.1", 0), _Sink)
    sink = multiprocessing.get_context("fork").Process(target=server.serve_forever, daemon=True)
    sink.start()
    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{server.server_port}"
    print(f"off: {_microseconds(lambda: None):.1f} µs a request")
    _traced("on")
    os.environ |= {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.01"}
    _traced("on, 1 % sampled")
    sink.terminate()


def _traced(name: str) -> None:
    tracing.start(0)
    print(f"{name}: {_microseconds(tracing.stop):.0f} µs a request, with sending")


def _microseconds(finish: Callable[[], None]) -> float:
    started = process_time()
    for number in range(_REQUESTS):
        _request()
        if number % _BURST == 0:
            sleep(_PAUSE_SECONDS)
    finish()
    return (process_time() - started) / _REQUESTS * 1e6


def _request() -> None:
    with tracing.request("POST", "/v1/neighbours", _HEADERS) as span:
        context = tracing.current()
        if context is not None:
            now = perf_counter()
            for name in ("decode", "queue", "inference"):
                tracing.add(name, context, now - 0.001, now, {"infomax.images": 1})
        with tracing.database("search"):
            pass
        if span is not None:
            tracing.end_request(span, "POST", "/v1/neighbours", 200)


if __name__ == "__main__":
    main()
