"""`make bench-serving`: this service and its peers under the same load."""

import subprocess
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, cast

import typer
from rich.console import Console

from bench.serving import images, machine
from bench.serving.contenders import OURS, PEERS_PYTHON, Contender, contenders
from bench.serving.model import open_model
from bench.serving.plot import draw
from bench.serving.results import Results
from bench.serving.rounds import Options, Rounds
from bench.serving.table import markdown
from contract.errors import InfomaxError
from contract.precision import Precision
from contract.progress import Progress

_OUT = Path(__file__).parents[1] / "results"


def main(
    models: Annotated[Path, typer.Option(help="Folder of models.")] = Path("models"),
    model: Annotated[str, typer.Option(help="name, for the newest version, or name/version.")] = "cifar10",
    precision: Annotated[str, typer.Option(help="fp32 or int8: which of the model's encoders.")] = "fp32",
    only: Annotated[list[str] | None, typer.Option(help="Measure these servers alone.")] = None,
    repetitions: Annotated[int, typer.Option(min=1, max=20)] = Options.repetitions,
    seconds: Annotated[float, typer.Option(min=1, max=60, help="Duration of each load.")] = Options.seconds,
    connections: Annotated[int, typer.Option(min=1, max=1024)] = Options.connections,
    stream_images: Annotated[int, typer.Option(min=0, max=100_000, help="0: none.")] = Options.stream_images,
    photographs: Annotated[bool, typer.Option(help="Measure large images too.")] = True,
    work_sharing: Annotated[bool, typer.Option(help="Workers of this service share a stream.")] = True,
    out: Annotated[Path, typer.Option(help="Folder for the JSON, the table and the picture.")] = _OUT,
) -> None:
    """Measure, write the results, print the table."""
    if precision not in ("fp32", "int8"):
        raise typer.BadParameter(f"precision={precision} is not allowed. Choose fp32 or int8.")
    try:
        chosen = open_model(models, model, cast("Precision", precision))
    except (InfomaxError, FileNotFoundError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    options = Options(
        repetitions=repetitions,
        seconds=seconds,
        connections=connections,
        stream_images=stream_images,
        stream_clients=Options.stream_clients if stream_images else (),
    )
    small = images.small()
    sets = (small, images.photographs(small.files)) if photographs else (small,)
    with tempfile.TemporaryDirectory(prefix="infomax-bench-data-") as data:
        known = contenders(chosen, Path(data), work_sharing=work_sharing)
        servers = tuple(one for one in known if not only or one.name in only)
        results = Results(
            machine.describe(),
            {"id": chosen.id, "precision": precision},
            asdict(options),
            {one.name: one.layout for one in servers},
            {one.name: reason for one in servers if (reason := _missing(one))},
        )
        rounds = Rounds(chosen, sets, options, results)
        done = 0
        with Progress("bench-serving") as progress:

            def step(status: str) -> None:
                nonlocal done
                progress.update(done, rounds.steps(servers), status)
                done += 1

            rounds.run(servers, step)
            progress.update(done, rounds.steps(servers), "done")
    name = f"serving-{chosen.id.replace('/', '-')}-{precision}"
    results.write(out / f"{name}.json")
    (out / f"{name}.md").write_text(markdown(results))
    if any(one.contender == OURS for one in results.measurements):
        draw(results, out / f"{name}.png")
    console = Console()
    console.print(markdown(results), markup=False, highlight=False, soft_wrap=True)
    console.print(f"written to {out / name}.json, .md and .png", markup=False, highlight=False)


def _missing(contender: Contender) -> str:
    """Return why a server cannot be started; empty where it can."""
    if not contender.package:
        return ""
    if not PEERS_PYTHON.is_file():
        return f"there is no {PEERS_PYTHON}; `make bench-serving` makes it"
    script = f"import importlib.metadata as m; m.version('{contender.package}')"
    found = subprocess.run([str(PEERS_PYTHON), "-c", script], capture_output=True, check=False)
    return "" if found.returncode == 0 else "it could not be installed; see what `make bench-serving` said"


if __name__ == "__main__":
    typer.run(main)
