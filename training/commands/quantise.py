"""`infomax quantise`: from a model folder to its next version, with the encoder in 8 bits beside it."""

from pathlib import Path

import typer

from contract.artefact import open_artefact
from training.commands.export import in_8_bits
from training.data import images, open_source
from training.export.model_folder import folder_of
from training.export.quantised_version import quantised_version


def run(
    folder: Path,
    version: int,
    train: Path,
    held_out: Path,
    models: Path,
    *,
    held_out_name: str,
    largest_loss: float,
) -> None:
    """Quantise, and say what that lost; see `training.export.quantised_version.quantised_version`.

    Raises:
        InfomaxError: before any image is decoded where that is possible.
    """
    artefact = open_artefact(folder)
    folder_of(models, artefact.card.name, version)
    training_source, held_out_source = open_source(train), open_source(held_out)
    rule = artefact.card.preprocessing
    written = quantised_version(
        artefact,
        version,
        images.load_images(training_source, rule),
        images.load_images(held_out_source, rule),
        models,
        split=held_out_name,
        largest_loss=largest_loss,
    )
    assert written.card.int8 is not None  # noqa: S101  (it was just written)
    typer.echo(f"{in_8_bits(written.card.int8)}\n{written.folder} is written.")
