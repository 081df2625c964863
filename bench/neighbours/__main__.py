"""`make bench-neighbours`: nearest neighbours of this service, of a bare pgvector and of other engines."""

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.neighbours import vectors
from bench.neighbours.engines import ENGINES
from bench.neighbours.table import markdown

ROOT = Path(__file__).parents[2]
PEERS_PYTHON = ROOT / "bench" / ".venv-neighbours" / "bin" / "python"
_OUT = Path(__file__).parents[1] / "results"
_LOG_SHOWN = 600


def main(
    items: Annotated[int, typer.Option(min=1000, help="Number of vectors.")] = 200_000,
    queries: Annotated[int, typer.Option(min=10, max=10_000)] = 200,
    dimensions: Annotated[int, typer.Option(min=8, max=4000, help="Of synthetic vectors.")] = 512,
    file: Annotated[Path | None, typer.Option(help="Real vectors: a .npy of float32 [N, D].")] = None,
    only: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(ENGINES)}.")] = None,
    folder: Annotated[Path | None, typer.Option(help="For vectors and indexes; default: TMPDIR.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the JSON and the table.")] = _OUT,
) -> None:
    """Measure one engine after the other, write the results, print the table."""
    if unknown := set(only or ()) - set(ENGINES):
        raise typer.BadParameter(f"there is no engine {min(unknown)}; there are {', '.join(ENGINES)}")
    with tempfile.TemporaryDirectory(prefix="infomax-bench-neighbours-", dir=folder) as place:
        # The embedded PostgreSQL of a root user runs as another one.
        Path(place).chmod(0o755)
        data = Path(place) / "data"
        data.mkdir()
        typer.echo(f"making {items:,} vectors and the true neighbours of {queries:,} queries", err=True)
        path = data / "vectors.npy"
        if file is None:
            asked = vectors.synthetic(path, items, queries, dimensions)
        else:
            asked = vectors.from_file(file, path, items, queries)
        vectors.prepare(data, asked)
        results: dict[str, Any] = {
            "items": items,
            "queries": queries,
            "dimensions": asked.shape[1],
            "vectors": "synthetic" if file is None else file.name,
            "machine": f"{os.cpu_count()} cores, {platform.platform()}",
            "date": datetime.now(UTC).date().isoformat(),
            "engines": {},
            "missing": {},
        }
        for name in only or ENGINES:
            typer.echo(f"measuring {name}", err=True)
            _measure(name, data, Path(place) / name, results)
            _write(results, out)
    typer.echo(markdown(results))


def _measure(name: str, data: Path, folder: Path, results: dict[str, Any]) -> None:
    """Measure an engine in its environment, and remove its files; a failure is written down."""
    python = PEERS_PYTHON if ENGINES[name].package else Path(sys.executable)
    if not python.is_file():
        results["missing"][name] = f"there is no {python}; `make bench-neighbours` makes it"
        return
    folder.mkdir()
    command = [str(python), "-m", "bench.neighbours.measuring", name, str(data), str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        results["missing"][name] = " ".join(done.stderr[-_LOG_SHOWN:].split())
    else:
        results["engines"][name] = json.loads(done.stdout.splitlines()[-1])
    shutil.rmtree(folder, ignore_errors=True)


def _write(results: dict[str, Any], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    name = f"neighbours-{results['items']}"
    (out / f"{name}.json").write_text(json.dumps(results, indent=1) + "\n")
    (out / f"{name}.md").write_text(markdown(results))


if __name__ == "__main__":
    typer.run(main)
