"""Traces of the real service, from the client's span to the database's, in a collector's hands."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

pytest.importorskip("opentelemetry.sdk", reason="tracing is not installed: make setup")

from opentelemetry.sdk.trace import TracerProvider

from infomax.client import AsyncClient, Client, RequestRefusedError
from tests.end_to_end.collector import Collector, Received, collecting
from tests.end_to_end.server import Server
from tests.pictures import photo
from tests.training.command import EXECUTABLE

SERVER_KIND, CLIENT_KIND = 2, 3
TRACER = TracerProvider().get_tracer("test")


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as running:
        yield running


@pytest.fixture(scope="module")
def server(
    collector: Collector, tiny_models: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("tracing")
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH")
    environment = {name: os.environ[name] for name in kept if name in os.environ} | {
        "INFOMAX_MODELS_DIR": str(tiny_models),
        "INFOMAX_MODEL": "tiny",
        "INFOMAX_DEVICE": "cpu",
        "INFOMAX_PORT": "0",
        "INFOMAX_WORKERS": "1",
        "INFOMAX_DATA_DIR": str(folder / "data"),
        "INFOMAX_TRACING": "true",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "20",
        "OTEL_SERVICE_NAME": "images",
        "OTEL_TRACES_SAMPLER": "parentbased_always_on",
    }
    running = Server.of([EXECUTABLE, "serve"], folder, folder, environment)
    yield running.wait_until_ready()
    assert running.terminate() == 0


def traced(collector: Collector, trace_id: int, names: set[str]) -> dict[str, Received]:
    """The spans of one trace by their names, once all of these have come."""
    wanted = f"{trace_id:032x}"
    spans = collector.wait_for(lambda all_: names <= {one.name for one in all_ if one.trace == wanted})
    return {one.name: one for one in spans if one.trace == wanted}


def test_a_stored_image_is_traced_from_the_client_to_the_database(
    collector: Collector, server: Server
) -> None:
    with TRACER.start_as_current_span("client") as client_span, Client(server.url) as client:
        client.put_item("a", photo())
    mine = client_span.get_span_context()
    names = {"PUT /v1/items/{id}", "decode", "queue", "inference", "index put"}
    spans = traced(collector, mine.trace_id, names)
    assert set(spans) == names
    request = spans["PUT /v1/items/{id}"]
    assert (request.parent, request.kind) == (f"{mine.span_id:016x}", SERVER_KIND)
    assert request.resource["service.name"] == "images"
    assert request.attributes["http.response.status_code"] == 200
    assert {spans[name].parent for name in names - {request.name}} == {request.id}
    assert spans["index put"].kind == CLIENT_KIND
    assert spans["inference"].attributes == {"infomax.images": 1, "infomax.batch.images": 1}
    stages = [spans[name] for name in ("queue", "inference", "index put")]
    times = [request.start, *(time for one in stages for time in (one.start, one.end)), request.end]
    # The clocks of both differ by less than their resolution allows to tell, in the order of a microsecond.
    assert times == sorted(times)
    (line,) = [one for one in server.records() if one.get("path") == "/v1/items/a"]
    assert line["trace_id"] == request.trace


async def _batch(url: str) -> None:
    async with AsyncClient(url) as client:
        async for _ in client.batch([photo()]):
            pass


def test_batches_carry_the_span_of_their_caller_in_both_clients(collector: Collector, server: Server) -> None:
    for kind in ("threads", "asyncio"):
        with TRACER.start_as_current_span("client") as span:
            if kind == "threads":
                with Client(server.url) as client:
                    list(client.batch([photo()]))
            else:
                asyncio.run(_batch(server.url))
        spans = traced(collector, span.get_span_context().trace_id, {"POST /v1/batch", "inference"})
        assert spans["inference"].parent == spans["POST /v1/batch"].id


def test_health_and_what_a_client_does_not_sample_are_not_traced(
    collector: Collector, server: Server
) -> None:
    httpx.get(f"{server.url}/readyz").raise_for_status()
    unsampled = {"traceparent": f"00-{'1' * 32}-{'2' * 16}-00"}
    httpx.get(f"{server.url}/v1/models", headers=unsampled).raise_for_status()
    with (
        TRACER.start_as_current_span("client") as span,
        Client(server.url) as client,
        pytest.raises(RequestRefusedError),
    ):
        client.embeddings([b"no image"])
    traced(collector, span.get_span_context().trace_id, {"POST /v1/embeddings"})
    spans = collector.wait_for(lambda _spans: True)
    assert not any("/readyz" in one.name or one.trace == "1" * 32 for one in spans)


def test_without_the_switch_nothing_of_it_is_loaded(tiny_models: Path) -> None:
    script = (
        "import sys, infomax.client\n"
        "assert not any(name.startswith('opentelemetry') for name in sys.modules)\n"
        "import service.processes.worker, service.app\n"
        "from service import tracing\n"
        "assert tracing.current() is None\n"
        "with tracing.request('GET', '/', []) as span, tracing.database('put'): assert span is None\n"
        "from infomax.client.trace_context import trace_headers\n"
        "assert trace_headers() == {}\n"
        "never = 'opentelemetry.sdk', 'opentelemetry.exporter', 'requests'\n"
        "print([name for name in sys.modules if name.startswith(never)])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
