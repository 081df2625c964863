"""Processor time of a small request in this checkout and in another one, by turns.

`python -m bench.serving.pairs ../other`. Times differ by the hour and by what else runs; differences do less.
"""

import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated, cast

import numpy as np
import typer

from bench.serving import images, load
from bench.serving.contenders import ROOT, contenders
from bench.serving.model import open_model
from bench.serving.running import Running, running
from contract.precision import Precision

# The standard error of a median is so many times that of a mean, and the standard deviation so many times
# the median deviation, of normal noise.
_OF_MEDIAN, _OF_DEVIATION = 1.2533, 1.4826


def difference(before: list[float], after: list[float]) -> tuple[float, float]:
    """Return the median difference of pairs, and its standard error, which a few wild pairs hardly move."""
    differences = np.subtract(after, before)
    middle = float(np.median(differences))
    deviation = float(np.median(np.abs(differences - middle)))
    return middle, _OF_MEDIAN * _OF_DEVIATION * deviation / len(differences) ** 0.5


def main(
    other: Annotated[Path, typer.Argument(help="Checkout to compare with, such as a git worktree.")],
    models: Annotated[Path, typer.Option(help="Folder of models.")] = Path("models"),
    model: Annotated[str, typer.Option(help="name, for the newest version, or name/version.")] = "cifar10",
    precision: Annotated[str, typer.Option(help="fp32 or int8: which of the model's encoders.")] = "int8",
    pairs: Annotated[int, typer.Option(min=2, max=1000)] = 20,
    connections: Annotated[int, typer.Option(min=1, max=1024)] = 64,
    seconds: Annotated[int, typer.Option(min=2, max=60, help="Duration of each load.")] = 2,
) -> None:
    """Start both, load them by turns, and print what a request costs in each."""
    chosen = open_model(models, model, cast("Precision", precision))
    files = images.small().files
    checkouts = {"other": other.resolve(), "this": ROOT}
    used: dict[str, list[float]] = {name: [] for name in checkouts}
    with ExitStack() as stack:
        servers: dict[str, Running] = {}
        for name, checkout in checkouts.items():
            data = stack.enter_context(tempfile.TemporaryDirectory(prefix="infomax-pairs-"))
            ours = contenders(chosen, Path(data))[0]
            ours = replace(ours, environment={**ours.environment, "PYTHONPATH": str(checkout)})
            servers[name] = stack.enter_context(running(ours, chosen, ours.request(files[0])))
        requests = stack.enter_context(load.written([ours.request(file) for file in files]))
        for server in servers.values():
            load.run(server.port, requests, connections, seconds)
        for number in range(pairs):
            # The order alternates, so that what one leaves to the other evens out.
            for name in list(servers)[:: 1 if number % 2 else -1]:
                before = servers[name].cpu_seconds()
                found = load.run(servers[name].port, requests, connections, seconds)
                used[name].append((servers[name].cpu_seconds() - before) / found.replies * 1e6)
        for name, server in servers.items():
            resident, proportional = server.memory_bytes() >> 20, server.shared_out() >> 20
            typer.echo(f"{name}, {checkouts[name]}: {np.median(used[name]):.0f} µs a request")
            typer.echo(f"  resident {resident} MiB, proportional {proportional} MiB")
    middle, error = difference(used["other"], used["this"])
    typer.echo(f"this - other: {middle:+.0f} µs, standard error {error:.0f}, {pairs} pairs")


if __name__ == "__main__":
    typer.run(main)
