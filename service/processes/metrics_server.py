"""Server of `/metrics` on a port of its own, in the parent process.

Access to the port is access to the metrics. They are there while workers come and go, and scrapes take none
of the workers' time.
"""

import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType

from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from service.outputs.metrics import registry

# For a scraper to send its request and to take the answer.
_CLIENT_SECONDS = 5.0


class MetricsServer:
    """HTTP server for `GET /metrics` on a listening socket, in threads of its own."""

    def __init__(self, listener: socket.socket) -> None:
        self._server = _HttpServer(listener)
        self._thread = Thread(target=self._server.serve_forever, name="infomax-metrics", daemon=True)

    def __enter__(self) -> "MetricsServer":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    # A scraper that hangs does not keep the service alive.
    block_on_close = False

    def __init__(self, listener: socket.socket) -> None:
        super().__init__(listener.getsockname()[:2], _ScrapeHandler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore a scraper that has closed its connection; it comes again."""


class _ScrapeHandler(BaseHTTPRequestHandler):
    timeout = _CLIENT_SECONDS
    server_version = "infomax"
    sys_version = ""

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != "/metrics":
            self.send_error(404, explain="This port serves /metrics and nothing else.")
            return
        content = generate_latest(registry())
        self.send_response(200)
        self.send_header("Content-Type", CONTENT_TYPE_LATEST)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (http.server's name)
        """Log no scrape, as on the main port."""
