"""Load on a server: so many connections, each of which sends its next request when it has its reply."""

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
_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Load:
    """What a load found.

    Attributes:
        replies: all of them; `errors` counts those among them with a status above 399, and what failed.
        seconds: how long it lasted.
        p50_ms, p99_ms: from a request's sending to its reply.
        cpu_seconds: what the generator used of the cores that the server could have had.
    """

    replies: int
    seconds: float
    p50_ms: float
    p99_ms: float
    errors: int
    cpu_seconds: float

    @property
    def rate(self) -> float:
        """Right replies per second."""
        return (self.replies - self.errors) / self.seconds


@contextmanager
def written(requests: Sequence[bytes]) -> Iterator[list[Path]]:
    """Requests as files, for a generator that is a process of its own."""
    with tempfile.TemporaryDirectory(prefix="infomax-requests-") as folder:
        paths = [Path(folder) / f"{place:04}.http" for place in range(len(requests))]
        for path, request in zip(paths, requests, strict=True):
            path.write_bytes(request)
        yield paths


def tool() -> str:
    """Which generator runs here."""
    return "wrk" if shutil.which("wrk") else "bench/serving/closed_loop.py"


def run(port: int, requests: Sequence[Path], connections: int, seconds: float) -> Load:
    """Load a local port for so long; `wrk` does it where it is installed, since it costs least."""
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
    # Only the generator ends, and is counted, between these two lines.
    done = subprocess.run(
        command, cwd=_ROOT, capture_output=True, text=True, check=True, timeout=seconds + _PATIENCE_SECONDS
    )
    return read(done.stdout, cpu_seconds=_children_cpu() - before)


def read(output: str, cpu_seconds: float) -> Load:
    """The line that both generators end with."""
    (line,) = (line for line in output.splitlines() if line.startswith("RESULT "))
    return Load(**json.loads(line.removeprefix("RESULT ")), cpu_seconds=cpu_seconds)


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
