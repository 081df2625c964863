"""Where the processor time of a small request goes: samples of a worker under load, by component.

`python -m bench.serving.profile`, with py-spy beside it (`pip install py-spy`)
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, cast

import psutil
import typer

from bench.serving import images, load
from bench.serving.contenders import contenders
from bench.serving.model import open_model
from bench.serving.running import Running, running
from contract.precision import Precision

REST = "event loop and system calls"
COMPONENTS = {
    "inference": ("onnxruntime/",),
    "decoding": ("PIL/", "contract/", "service/inference/decoding.py"),
    "batches": ("service/inference/batching.py", "service/inference/model.py"),
    "admission, queue, delivery": ("service/inference/", "service/models/"),
    "metrics": ("prometheus_client/", "service/metrics.py", "service/inference/histograms.py"),
    "connection and HTTP": (
        "uvicorn/protocols/",
        "service/http/server.py",
        "service/http/size_limits.py",
        "service/http/timeouts.py",
        "service/http/uvicorn_interface.py",
    ),
    "middleware and routing": ("uvicorn/", "starlette/", "fastapi/", "service/http/", "service/app.py"),
    "body and parameters": ("service/inputs/", "pydantic/"),
    "route and answer": ("service/routes/", "service/outputs/", "service/runtime.py"),
    REST: ("asyncio/runners.py", "multiprocessing/"),
}
"""Files of each component, by the begin of their paths; the longest that fits decides."""

_FILE = re.compile(r"\(([^()]+?)(?::\d+)?\)$")
_SAMPLES_PER_SECOND = 500


def component_of(stack: str) -> str:
    """Find what a stack of frames, outermost first and separated by semicolons, works for.

    The innermost frame in a known file counts: what it calls in NumPy or the standard library is its own.
    """
    for frame in reversed(stack.split(";")):
        found = _FILE.search(frame)
        fitting = [
            (len(prefix), name)
            for name, prefixes in COMPONENTS.items()
            for prefix in prefixes
            if found is not None and found[1].startswith(prefix)
        ]
        if fitting:
            return max(fitting)[1]
    return REST


def shares(samples: Iterable[str]) -> dict[str, float]:
    """Compute the share of each component, the largest first, from lines `stack count` of py-spy."""
    counts: Counter[str] = Counter()
    for line in samples:
        stack, _, count = line.strip().rpartition(" ")
        counts[component_of(stack)] += int(count)
    return {name: count / counts.total() for name, count in counts.most_common()}


def main(
    models: Annotated[Path, typer.Option(help="Folder of models.")] = Path("models"),
    model: Annotated[str, typer.Option(help="name, for the newest version, or name/version.")] = "cifar10",
    precision: Annotated[str, typer.Option(help="fp32 or int8: which of the model's encoders.")] = "int8",
    connections: Annotated[int, typer.Option(min=1, max=1024)] = 64,
    seconds: Annotated[int, typer.Option(min=2, max=60, help="Duration of the load.")] = 10,
) -> None:
    """Profile, and print microseconds of a request by component."""
    own = str(Path(sys.executable).parent)
    spy = shutil.which("py-spy", path=own) or shutil.which("py-spy")
    if spy is None:
        typer.echo("There is no py-spy. Install it: pip install py-spy.", err=True)
        raise typer.Exit(1)
    chosen = open_model(models, model, cast("Precision", precision))
    small = images.small()
    with tempfile.TemporaryDirectory(prefix="infomax-profile-") as folder:
        ours = contenders(chosen, Path(folder))[0]
        samples = Path(folder) / "samples"
        with (
            running(ours, chosen, ours.request(small.files[0])) as server,
            load.written([ours.request(file) for file in small.files]) as requests,
        ):
            load.run(server.port, requests, connections, 2)
            command = [spy, "record", "--pid", str(_worker(server)), "--duration", str(seconds - 1)]
            command += ["--rate", str(_SAMPLES_PER_SECOND), "--threads", "--nonblocking"]
            command += ["--format", "raw", "--output", str(samples)]
            before = server.cpu_seconds()
            with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as recorder:
                found = load.run(server.port, requests, connections, seconds)
                recorder.wait()
            used = (server.cpu_seconds() - before) / found.replies * 1e6
        parts = shares(samples.read_text().splitlines())
    typer.echo(f"{used:.0f} µs a request, {found.rate:.0f} requests a second")
    for name, share in parts.items():
        typer.echo(f"{share * used:6.0f} µs {share:6.1%}  {name}")


def _worker(server: Running) -> int:
    """Find the worker that has used the most of a processor."""
    workers = psutil.Process(server.pid).children()
    busiest: int = max(workers, key=lambda one: sum(one.cpu_times()[:2])).pid
    return busiest


if __name__ == "__main__":
    typer.run(main)
