"""Profile of a request by component."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from bench.serving.profile import COMPONENTS, REST, component_of, shares

ROOT = Path(__file__).parents[2]
LOOP = "thread (1): MainThread;run_worker (service/processes/worker.py:60);run (asyncio/runners.py:118)"
ROUTE = f"{LOOP};__call__ (service/http/routing.py:69);create (service/routes/embeddings.py:86)"
QUEUE = f"{ROUTE};embed (service/inference/pipeline.py:160)"


@pytest.mark.parametrize(
    ("stack", "component"),
    [
        (LOOP, REST),
        (f"{ROUTE};stack (numpy/_core/shape_base.py:378)", "route and answer"),
        (f"{ROUTE};dump (service/outputs/json.py:9)", "route and answer"),
        (f"{QUEUE};inc (prometheus_client/values.py:114)", "metrics"),
        (f"{QUEUE};__init__ (<string>)", "admission, queue, delivery"),
        (f"{LOOP};data_received (service/http/timeouts.py:54)", "connection and HTTP"),
        (f"{LOOP};__call__ (uvicorn/middleware/proxy_headers.py:28)", "middleware and routing"),
        ("thread (2): infomax-inference;decode (contract/images.py:90)", "decoding"),
        ("thread (2): infomax-inference;Session.run (onnxruntime/capi/session.py:220)", "inference"),
        ("", REST),
    ],
)
def test_the_innermost_frame_in_a_known_file_says_what_a_sample_is_for(stack: str, component: str) -> None:
    assert component_of(stack) == component


def test_shares_are_those_of_all_samples_the_largest_first() -> None:
    lines = [f"{LOOP} 3", f"{ROUTE} 5", f"{LOOP};data_received (service/http/timeouts.py:54) 2"]
    found = shares(lines)
    assert list(found.items()) == [("route and answer", 0.5), (REST, 0.3), ("connection and HTTP", 0.2)]


def test_every_component_names_files_that_there_are() -> None:
    for prefix in {prefix for prefixes in COMPONENTS.values() for prefix in prefixes}:
        package, _, rest = prefix.partition("/")
        spec = find_spec(package)
        assert spec is not None
        assert spec.submodule_search_locations
        assert (Path(spec.submodule_search_locations[0]) / rest).exists(), prefix
