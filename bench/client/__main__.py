"""`make bench-client`: images a second by curl's stream and by the Python client, by turns on one server."""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Annotated, cast

import typer

from bench.client.sender import WAYS
from bench.serving import images
from bench.serving.contenders import contenders
from bench.serving.model import open_model
from bench.serving.running import Running, running
from contract.precision import Precision
from contract.progress import Progress

_ROOT = Path(__file__).parents[2]
CURL = "tar to curl"
_BASE64 = "tar to curl, base64"
_QUERIES = {CURL: "", _BASE64: "?encoding_format=base64"}


@dataclass(frozen=True)
class Turn:
    """One way's turn.

    Attributes:
        images: images that were answered with an embedding.
        seconds: from the first file to the last answer.
        client_cpu: core seconds of the sender, without the start of Python.
        server_cpu: core seconds of the server.
    """

    images: int
    seconds: float
    client_cpu: float
    server_cpu: float

    @property
    def rate(self) -> float:
        """Images a second."""
        return self.images / self.seconds


def main(
    models: Annotated[Path, typer.Option(help="Folder of models.")] = _ROOT / "models",
    model: Annotated[str, typer.Option(help="name, for the newest version, or name/version.")] = "cifar10",
    precision: Annotated[str, typer.Option(help="fp32 or int8.")] = "int8",
    count: Annotated[int, typer.Option(min=1, help="Images of a turn.")] = 6000,
    rounds: Annotated[int, typer.Option(min=1)] = 5,
) -> None:
    """Let every way send the same folder, by turns; print medians, and ratios to curl's of the same round."""
    chosen = open_model(models, model, cast("Precision", precision))
    small = images.small()
    turns: dict[str, list[Turn]] = {name: [] for name in (*_QUERIES, *WAYS)}
    with tempfile.TemporaryDirectory(prefix="infomax-bench-client-") as data:
        folder = Path(data, "images")
        folder.mkdir()
        for place in range(count):
            (folder / f"{place:06}.jpg").write_bytes(small.files[place % len(small.files)])
        ours = contenders(chosen, Path(data, "data"))[0]
        with running(ours, chosen, ours.request(small.files[0])) as server, Progress("bench-client") as bar:
            steps = (rounds + 1) * len(turns)
            for turn in range(rounds + 1):
                for number, (name, done) in enumerate(turns.items()):
                    bar.update(turn * len(turns) + number, steps, name)
                    found = measure(name, server, folder)
                    if found.images != count:
                        raise RuntimeError(f"{name}: {found.images} of {count} images were embedded")
                    # The first round warms up.
                    if turn:
                        done.append(found)
            bar.update(steps, steps, "done")
    typer.echo(table(turns))


def measure(name: str, server: Running, folder: Path) -> Turn:
    """Let one way send the folder."""
    url = f"http://127.0.0.1:{server.port}"
    used, served, started = _children_cpu(), server.cpu_seconds(), perf_counter()
    if name in _QUERIES:
        summary, seconds = _curl(f"{url}/v1/batch{_QUERIES[name]}", folder), perf_counter() - started
        count, client = int(summary["ok"]), _children_cpu() - used
    else:
        command = [sys.executable, "-m", "bench.client.sender", name, url, str(folder)]
        environment = os.environ | {"PYTHONPATH": str(_ROOT)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1].removeprefix("RESULT "))
        count, seconds, client = found["images"], found["seconds"], found["cpu_seconds"]
    return Turn(count, seconds, client, server.cpu_seconds() - served)


def _curl(url: str, folder: Path) -> dict[str, int]:
    with tempfile.NamedTemporaryFile() as answer:
        script = (
            'tar --create --file - --directory "$1" . | curl --silent --fail --upload-file - --request POST '
            '--header "Content-Type: application/x-tar" --output "$2" "$3"'
        )
        subprocess.run(["bash", "-o", "pipefail", "-c", script, "-", folder, answer.name, url], check=True)
        last = Path(answer.name).read_bytes().rstrip().rsplit(b"\n", 1)[-1]
    summary: dict[str, int] = json.loads(last)["summary"]
    return summary


def table(turns: dict[str, list[Turn]]) -> str:
    """Write medians, and the median ratio to the first way in the same round."""
    base = next(iter(turns.values()))
    lines = [
        "| way | images/s | ratio | least and most | client, µs an image | server, µs an image |",
        "| --- | ---: | ---: | --- | ---: | ---: |",
    ]
    for name, done in turns.items():
        ratios = [one.rate / other.rate for one, other in zip(done, base, strict=True)]
        rate = statistics.median(one.rate for one in done)
        client = statistics.median(one.client_cpu / one.images for one in done) * 1e6
        server = statistics.median(one.server_cpu / one.images for one in done) * 1e6
        lines.append(
            f"| {name} | {rate:,.0f} | {statistics.median(ratios):.3f} | "
            f"{min(ratios):.3f} to {max(ratios):.3f} | {client:.0f} | {server:.0f} |"
        )
    return "\n".join(lines)


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    typer.run(main)
