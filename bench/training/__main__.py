"""`python -m bench.training`: whole training steps against the bare encoder."""

import platform
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console

from bench.training.measure import CLOCKS, Contest, Parts
from bench.training.ours import our_parts
from bench.training.plot import draw
from bench.training.public import public_parts
from bench.training.results import Results, markdown
from contract.progress import Progress
from training.loop.execution import choose, prepare
from training.recipe_file import load_recipe

_RECIPES = Path("training/recipes")
_DEFAULT = (
    "two_view_progressive",
    "two_view_deep",
    "two_view_whitened",
    "two_view",
    "paper_dim_local_infonce",
)


def main(
    recipe: Annotated[
        list[str] | None, typer.Option(help="Names of shipped recipes; may be repeated.")
    ] = None,
    repetitions: Annotated[int, typer.Option(min=1, help="Rounds; the table shows their median.")] = 5,
    steps: Annotated[int, typer.Option(min=1, help="Steps in a round.")] = 3,
    threads: Annotated[int, typer.Option(min=0, help="Threads of PyTorch; 0: its own choice.")] = 0,
    clock: Annotated[str, typer.Option(help="wall, or cpu where others use the machine.")] = "wall",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, float32 or bfloat16.")] = "auto",
    compile_encoder: Annotated[bool, typer.Option("--compile", help="Compile the encoder.")] = False,
    public: Annotated[
        Path | None, typer.Option(help="A checkout of DuaneNielsen/DeepInfomaxPytorch, timed beside ours.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the JSON, the table and the picture.")] = Path(
        "bench/results"
    ),
) -> None:
    """Measure the training steps of recipes, in turn with the bare encoder of each."""
    if clock not in CLOCKS:
        raise typer.BadParameter(f"There is no clock {clock}. Choose one of {', '.join(CLOCKS)}.")
    if threads:
        torch.set_num_threads(threads)
    execution = choose(device, precision, compiled=compile_encoder)
    prepare(execution)
    recipes = [load_recipe(_RECIPES / f"{name}.toml") for name in recipe or _DEFAULT]
    subjects: list[Callable[[], Parts]] = [partial(our_parts, each, execution) for each in recipes]
    if public is not None:
        subjects.append(partial(public_parts, public, execution.device))
    results = Results(
        {
            "hardware": execution.describe(),
            "threads": torch.get_num_threads(),
            "system": platform.platform(),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "date": datetime.now(UTC).date().isoformat(),
        },
        {
            "clock": clock,
            "repetitions": repetitions,
            "steps": steps,
            **{name: str(value) for name, value in asdict(execution).items()},
        },
    )
    done, total = 0, len(subjects) * repetitions
    with Progress("bench-training") as progress:
        for parts in subjects:
            contest = Contest(parts(), execution.device, clock)
            contest.warm_up()
            for repetition in range(repetitions):
                results.timings.append(contest.round(repetition, steps))
                done += 1
                progress.update(done, total, contest.name)
    results.write(out / "training.json")
    (out / "training.md").write_text(markdown(results))
    draw(results, out / "training.png")
    console = Console()
    console.print(markdown(results), markup=False, highlight=False, soft_wrap=True)
    console.print(f"written to {out / 'training'}.json, .md and .png", markup=False, highlight=False)


if __name__ == "__main__":
    typer.run(main)
