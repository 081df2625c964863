"""`infomax export`: from a run to a model folder that can be served."""

from pathlib import Path

import typer

from contract.card import Int8Encoder
from training.data import images, open_source
from training.export.model_card import Release
from training.export.model_folder import folder_of
from training.export.version import export
from training.loop.trained import load_run


def run(
    folder: Path,
    train: Path,
    held_out: Path,
    models: Path,
    release: Release,
    largest_int8_loss: float | None,
) -> None:
    """Export, and say how to serve the result; see `training.export.version.export`.

    Raises:
        InfomaxError: before any image is decoded where that is possible.
    """
    folder_of(models, release.name, release.version)
    trained = load_run(folder)
    if trained.steps < trained.total_steps:
        typer.echo(
            f"note: the run stands at step {trained.steps} of {trained.total_steps} and is exported as it is",
            err=True,
        )
    training_source, held_out_source = open_source(train), open_source(held_out)
    rule = images.rule(trained.recipe)
    artefact = export(
        trained,
        release,
        images.load_images(training_source, rule),
        images.load_images(held_out_source, rule),
        models,
        largest_int8_loss=largest_int8_loss,
    )
    card = artefact.card
    best = max(card.quality.scores, key=lambda score: score.accuracy, default=None)
    if best is not None:
        typer.echo(f"Best classifier: {best.probe} on {best.layer}, {best.accuracy:.2%}.")
    if card.int8 is not None:
        typer.echo(in_8_bits(card.int8))
    typer.echo(
        f"MI estimate: {card.calibration.mi_nats:.3f} nats.\n"
        f"{artefact.folder} is written; serve it with INFOMAX_MODELS_DIR={models} INFOMAX_MODEL={card.name} "
        "infomax serve"
    )


def in_8_bits(int8: Int8Encoder) -> str:
    """Say in a sentence what the encoder lost in 8 bits."""
    loss = int8.loss
    lost = "" if loss.points is None else f"{loss.points:.2f} points of accuracy lost at most, "
    return f"In 8 bits: {lost}mean cosine {loss.mean_cosine:.4f}."
