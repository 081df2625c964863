"""`infomax quantise`: from a model folder to its next version, with the encoder in 8 bits beside it."""

from pathlib import Path
from typing import Annotated

import typer

from contract.artefact import open_artefact
from training import recipe_file
from training.cli.export import loss_in_8_bits
from training.cli.failures import plain_failures
from training.cli.options import DEFAULT_LOSS, LargestLoss, ModelsFolder, SkipUnreadable, Train
from training.data import images, open_source, set_aside
from training.export.model_folder import folder_of
from training.export.quantised_version import quantised_version


def quantise(
    model: Annotated[Path, typer.Option(help="Model folder, which stays as it is.")],
    version: Annotated[int, typer.Option(min=1, help="Of the new one; a version is written once.")],
    train: Train,
    held_out: Annotated[
        Path | None,
        typer.Option(
            help="Images kept apart; the loss is measured on them; default: those of --train that were set "
            "aside."
        ),
    ] = None,
    held_out_name: Annotated[str | None, typer.Option(help="Which images were kept apart, in words.")] = None,
    models: ModelsFolder = Path("models"),
    largest_loss: LargestLoss = DEFAULT_LOSS,
    skip_unreadable: SkipUnreadable = False,
) -> None:
    """Write a new version of an exported model that has its encoder in 8 bits too."""
    with plain_failures():
        _run(
            model,
            version,
            train,
            held_out,
            models,
            held_out_name=held_out_name,
            largest_loss=largest_loss,
            skip_unreadable=skip_unreadable,
        )


def _run(
    folder: Path,
    version: int,
    train: Path,
    held_out: Path | None,
    models: Path,
    *,
    held_out_name: str | None,
    largest_loss: float,
    skip_unreadable: bool,
) -> None:
    """Quantise, and say what that lost; see `training.export.quantised_version.quantised_version`.

    Raises:
        InfomaxError: before any image is decoded where that is possible.
    """
    artefact = open_artefact(folder)
    folder_of(models, artefact.card.name, version)
    training_source = open_source(train)
    held_out_source = None if held_out is None else open_source(held_out)
    rule = artefact.card.preprocessing
    training = images.load_images(training_source, rule, skip_unreadable=skip_unreadable)
    if held_out_source is None:
        shares = recipe_file.split_of(artefact.card.training.recipe_toml)
        measured_on, name = set_aside.held_out(training, shares), artefact.card.calibration.split
    else:
        measured_on = images.load_images(held_out_source, rule, skip_unreadable=skip_unreadable)
        name = str(held_out)
    written = quantised_version(
        artefact,
        version,
        training,
        measured_on,
        models,
        split=held_out_name or name,
        largest_loss=largest_loss,
    )
    assert written.card.int8 is not None  # noqa: S101  (it was just written)
    typer.echo(f"{loss_in_8_bits(written.card.int8)}\n{written.folder} is written.")
