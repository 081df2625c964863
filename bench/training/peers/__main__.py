"""`python -m bench.training.peers`: other methods with our encoder, views, images and processor seconds."""

from pathlib import Path
from typing import Annotated

import torch
import typer

from bench.training.peers import results
from bench.training.peers.contest import contest
from bench.training.peers.lightly import DEFAULT, NoLightlyError, version
from bench.training.peers.methods import builders
from bench.training.peers.results import Score
from training.cli.options import Precision
from training.data import images as image_files
from training.data import open_source
from training.loop.execution import choose, precision_option
from training.recipe import Recipe
from training.recipe_file import load_recipe
from training.shipped_recipes import recipe_file


def main(
    data: Annotated[Path, typer.Option(help="Labelled images; a tenth of those drawn is measured on.")],
    recipe: Annotated[str, typer.Option(help="Of encoder, views, batches and optimiser.")] = (
        "two_view_progressive"
    ),
    images: Annotated[int, typer.Option(min=1, help="Images to draw for all runs.")] = 10_000,
    seconds: Annotated[float, typer.Option(min=0, help="Processor seconds of each training.")] = 90.0,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each method.")] = 3,
    method: Annotated[list[str] | None, typer.Option(help="One of them; may be repeated.")] = None,
    small_views: Annotated[bool, typer.Option(help="Smaller views at first, as the recipe has them.")] = True,
    precision: Annotated[Precision, typer.Option(help="float32 or bfloat16, of the encoder's products.")] = (
        Precision.FLOAT32
    ),
    threads: Annotated[int, typer.Option(min=0, help="Threads of PyTorch; 0: its own choice.")] = 0,
    environment: Annotated[Path, typer.Option(help="Environment with lightly.")] = DEFAULT,
    out: Annotated[
        Path, typer.Option(help="Folder of scores; what is finished there is not run again.")
    ] = Path("bench/results/peers"),
) -> None:
    """Train each method for the same processor seconds, and compare what its encoder knows."""
    if threads:
        torch.set_num_threads(threads)
    execution = choose("auto", precision.value, compiled=False)
    try:
        known = builders(environment)
    except NoLightlyError as error:
        raise typer.BadParameter(str(error)) from error
    chosen = method or list(known)
    if unknown := set(chosen) - set(known):
        raise typer.BadParameter(f"There is no method {min(unknown)!r}. Choose one of {', '.join(known)}.")
    wanted = load_recipe(recipe_file(recipe))
    if not small_views:
        wanted = Recipe.model_validate(wanted.model_dump() | {"small_views": None})
    drawn = image_files.load_training_images(open_source(data), wanted).sample(images, wanted.seed)
    scores: list[Score] = []
    for seed in range(wanted.seed, wanted.seed + seeds):
        for name in chosen:
            own = wanted.model_copy(update={"seed": seed})
            made_by = (own.model_dump_json(), len(drawn), seconds, execution.precision)
            score = results.read(out, name, seed, *made_by)
            if score is None:
                typer.echo(f"{name}, seed {seed}", err=True)
                score = contest(name, known[name], own, drawn, seconds, execution)
                results.write(out, score)
            scores.append(score)
    scores.sort(key=lambda score: chosen.index(score.method))
    smaller = "" if small_views else " --no-small-views"
    command = (
        f"make bench-peers ARGS='--data {data.name} --recipe {recipe} --images {images} "
        f"--seconds {seconds:g} --seeds {seeds}{smaller}{precision_option(execution.precision)}'"
    )
    table = results.markdown(scores, command)
    (out / "peers.md").write_text(table)
    typer.echo(table)
    typer.echo(
        f"Losses of lightly {version(environment)}; torch {torch.__version__}. {out / 'peers.md'} is written."
    )


if __name__ == "__main__":
    typer.run(main)
