"""Metrics that several processes share."""

import os
import subprocess
import sys
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

ROOT = Path(__file__).parents[2]
WORKER = """
from service import metrics
metrics.REQUESTS.labels("/v1/embeddings", "POST", 200).inc(3)
metrics.QUEUE_DEPTH.set(5)
metrics.READY.set({ready})
metrics.BATCH_SIZE.observe(16)
"""


def test_processes_add_up_and_readiness_is_that_of_the_least_ready(tmp_path: Path) -> None:
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for ready in (1, 0):
        script = WORKER.format(ready=ready)
        subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, check=True)
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(tmp_path))  # type: ignore[no-untyped-call]
    labels = {"route": "/v1/embeddings", "method": "POST", "status": "200"}
    assert registry.get_sample_value("infomax_requests_total", labels) == 6
    assert registry.get_sample_value("infomax_queue_depth_items") == 10
    assert registry.get_sample_value("infomax_ready") == 0
    assert registry.get_sample_value("infomax_batch_size_count") == 2
