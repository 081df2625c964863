"""Closed-loop load: connections that send their next request when they have a reply."""

import json
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]
_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class Load:
    """Result of a load.

    Attributes:
        replies: number of all replies.
        errors: replies with a status above 399, and failed requests.
        seconds: duration.
        p50_ms: median latency.
        p99_ms: 99th percentile of the latency.
        cpu_seconds: core seconds of the generator, which the server could not use.
    """

    replies: int
    seconds: float
    p50_ms: float
    p99_ms: float
    errors: int
    cpu_seconds: float

    @property
    def rate(self) -> float:
        """Good replies per second."""
        return (self.replies - self.errors) / self.seconds


@contextmanager
def written(requests: Sequence[bytes]) -> Iterator[list[Path]]:
    """Write the requests as files, for a generator in another process."""
    with tempfile.TemporaryDirectory(prefix="infomax-requests-") as folder:
        paths = [Path(folder) / f"{place:04}.http" for place in range(len(requests))]
        for path, request in zip(paths, requests, strict=True):
            path.write_bytes(request)
        yield paths


def tool() -> str:
    """Name the generator of this machine."""
    return "wrk" if shutil.which("wrk") else "bench/serving/closed_loop.py"


def run(port: int, requests: Sequence[Path], connections: int, seconds: float) -> Load:
    """Load a local port for some seconds, with `wrk` where it is installed, because it costs least."""
    files = [str(path) for path in requests]
    if wrk := shutil.which("wrk"):
        command = [
            wrk,
            "--threads",
            "1",
            "--connections",
            str(connections),
            "--duration",
            f"{max(1, round(seconds))}s",
        ]
        command += ["--timeout", "30s", "--script", str(_HERE / "wrk.lua"), f"http://127.0.0.1:{port}"]
        command += ["--", *files]
    else:
        command = [sys.executable, "-m", "bench.serving.closed_loop"]
        command += [str(port), str(connections), f"{seconds:g}", *files]
    before = _children_cpu()
    # Only the generator ends between these two lines, so only it is counted.
    done = subprocess.run(
        command, cwd=_ROOT, capture_output=True, text=True, check=True, timeout=seconds + _TIMEOUT_SECONDS
    )
    return read(done.stdout, cpu_seconds=_children_cpu() - before)


def read(output: str, cpu_seconds: float) -> Load:
    """Read the line that both generators end with."""
    (line,) = (line for line in output.splitlines() if line.startswith("RESULT "))
    return Load(**json.loads(line.removeprefix("RESULT ")), cpu_seconds=cpu_seconds)


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
