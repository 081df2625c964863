"""The offline half of the `infomax` command: `train`, `probe`, `export` and `convert-cifar`.

A serving machine loads this module too, for the list of commands, and has no torch: what needs it is imported
when a command runs.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from training.errors import DataError, TrainingError
from training.memory import ran_out

_NEEDED = ("torch", "tensorboard", "onnxscript")

Train = Annotated[Path, typer.Option(help="The images it was trained on: a folder or a Parquet file.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the root command."""
    app.command()(train)
    app.command()(probe)
    app.command()(export)
    app.command("convert-cifar")(convert_cifar)


def train(
    recipe: Annotated[Path, typer.Option(help="A TOML file; shipped ones lie in training/recipes.")],
    data: Annotated[Path, typer.Option(help="A folder of images or a Parquet file; labels are not used.")],
    out: Annotated[Path, typer.Option(help="Folder of the run: checkpoint, metrics and curves.")],
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in --out.")] = False,
    epochs: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's own number.")] = None,
) -> None:
    """Train an encoder. Ctrl-C or SIGTERM writes a checkpoint and stops with status 75."""
    with _offline():
        from training.commands import train as command

        command.run(recipe, data, out, resume=resume, epochs=epochs)


def probe(
    train: Train,
    test: Annotated[Path, typer.Option(help="Labelled images that nothing was fitted to.")],
    run: Annotated[Path | None, typer.Option(help="Folder of a run.")] = None,
    model: Annotated[Path | None, typer.Option(help="Model folder, compared with its card.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the figures into this file too.")] = None,
) -> None:
    """Measure what a run's encoder or an exported model is worth; status 1 when a card does not agree."""
    if (run is None) == (model is None):
        raise typer.BadParameter("name either --run or --model")
    with _offline():
        from training.commands import probe as command

        if run is not None:
            command.probe_run(run, train, test, json)
        elif model is not None:
            command.probe_model(model, train, test, json)


def export(
    run: Annotated[Path, typer.Option(help="Folder of the run.")],
    train: Train,
    held_out: Annotated[Path, typer.Option(help="Images kept apart; every figure is measured on them.")],
    name: Annotated[str, typer.Option(help="Name of the model: lower case letters, digits, '.', '_', '-'.")],
    licence: Annotated[str, typer.Option(help="Licence of the weights.")],
    summary: Annotated[str, typer.Option(help="What the model is, in one or two sentences.")],
    data_name: Annotated[str, typer.Option(help="Which images trained it, in words.")],
    held_out_name: Annotated[str, typer.Option(help="Which images were kept apart, in words.")],
    limit: Annotated[list[str], typer.Option(help="What it is not good for; once for each sentence.")],
    models: Annotated[Path, typer.Option(help="Folder of <name>/<version> folders.")] = Path("models"),
    version: Annotated[int, typer.Option(min=1, help="A version is written once.")] = 1,
) -> None:
    """Write a run's encoder, with a critic fitted for its maps, as a model folder that can be served."""
    with _offline():
        from training.commands import export as command
        from training.model_card import Release

        release = Release(name, version, licence, summary, tuple(limit), data_name, held_out_name)
        command.run(run, train, held_out, models, release)


def convert_cifar(
    archive: Annotated[Path, typer.Argument(help="cifar-10-python.tar.gz or cifar-10-binary.tar.gz.")],
    out: Annotated[Path, typer.Option(help="Folder for train.parquet and test.parquet.")],
) -> None:
    """Convert the official CIFAR-10 archive to Parquet files with lossless images."""
    with _plain_failures():
        from training.commands import convert_cifar as command

        command.run(archive, out)


@contextmanager
def _offline() -> Iterator[None]:
    """Around a command that needs torch.

    Raises:
        TrainingError: what training needs is not installed.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise TrainingError(
            f"This command needs {', '.join(missing)}, which serving does without; "
            "run `make setup`, or pip install 'infomax[training]'."
        )
    with _plain_failures():
        yield


@contextmanager
def _plain_failures() -> Iterator[None]:
    """Warnings as lines on stderr; a file that cannot be used, or memory that ran out, as one sentence."""
    logging.basicConfig(level=logging.WARNING, format="note: %(message)s")
    try:
        yield
    except OSError as error:
        raise DataError(f"{error.filename or 'A file'}: {error.strerror or error}.") from error
    except Exception as error:
        if not ran_out(error):
            raise
        raise TrainingError(
            "Memory ran out; free some, or use fewer images or a smaller recipe "
            f"({' '.join(str(error).split())})."
        ) from error
