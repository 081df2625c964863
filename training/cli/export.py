"""`infomax export`: from a run to a model folder that can be served."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from contract.artefact import Artefact
from contract.card import Int8Encoder
from training.cli.failures import plain_failures
from training.cli.options import (
    DEFAULT_LOSS,
    UNSTATED,
    EncoderPrecision,
    LargestLoss,
    Licence,
    Limits,
    ModelsFolder,
    NewVersion,
    SkipUnreadable,
    Summary,
    Train,
)
from training.cli.own_release import ModelStatements, own_release
from training.data import images, open_source
from training.export import version as versions
from training.export.model_card import Release
from training.export.model_folder import folder_of
from training.loop.trained import TrainedEncoder, load_run


def export(
    run: Annotated[Path, typer.Option(help="Folder of the run.")],
    train: Train,
    name: Annotated[str, typer.Option(help="Name of the model: lower case letters, digits, '.', '_', '-'.")],
    held_out: Annotated[
        Path | None,
        typer.Option(
            help="Images kept apart; every figure is measured on them; default: those that the run set aside."
        ),
    ] = None,
    licence: Licence = UNSTATED,
    summary: Summary = None,
    data_name: Annotated[str | None, typer.Option(help="Which images trained it, in words.")] = None,
    held_out_name: Annotated[str | None, typer.Option(help="Which images were kept apart, in words.")] = None,
    limit: Limits = None,
    models: ModelsFolder = Path("models"),
    version: NewVersion = 1,
    precision: EncoderPrecision = "fp32",
    largest_loss: LargestLoss = DEFAULT_LOSS,
    skip_unreadable: SkipUnreadable = False,
) -> None:
    """Write a run's encoder as a model folder that can be served, with a critic fitted for its maps."""
    with plain_failures():
        folder_of(models, name, version)
        trained = load_run(run)
        stated = ModelStatements(licence, summary, tuple(limit or ()), data_name, held_out_name)
        release = own_release(name, version, stated, trained.recipe, train, held_out)
        int8_loss = largest_loss if precision == "int8" else None
        _run(trained, train, held_out, models, release, int8_loss, skip_unreadable=skip_unreadable)


def _run(
    trained: TrainedEncoder,
    train: Path,
    held_out: Path | None,
    models: Path,
    release: Release,
    largest_int8_loss: float | None,
    *,
    skip_unreadable: bool,
) -> None:
    """Export, and say how to serve the result; see `training.export.version.export`.

    Raises:
        InfomaxError: before any image is decoded where that is possible.
    """
    if trained.steps < trained.total_steps:
        typer.echo(
            f"note: the run stands at step {trained.steps} of {trained.total_steps} and is exported as it is",
            err=True,
        )
    training_source = open_source(train)
    held_out_source = None if held_out is None else open_source(held_out)
    rule = images.rule(trained.recipe)
    training = images.load_images(training_source, rule, skip_unreadable=skip_unreadable)
    artefact = versions.export(
        trained,
        release,
        training,
        trained.held_out(training)
        if held_out_source is None
        else images.load_images(held_out_source, rule, skip_unreadable=skip_unreadable),
        models,
        largest_int8_loss=largest_int8_loss,
    )
    report(artefact, models)


def report(artefact: Artefact, models: Path) -> None:
    """Print what a new version was measured to be, and how to serve it."""
    card = artefact.card
    best = max(card.quality.scores, key=lambda score: score.accuracy, default=None)
    if best is not None:
        typer.echo(f"Best classifier: {best.probe} on {best.layer}, {best.accuracy:.2%}.")
    if card.int8 is not None:
        typer.echo(loss_in_8_bits(card.int8))
    typer.echo(
        f"MI estimate: {card.calibration.mi_nats:.3f} nats.\n"
        f"{artefact.folder} is written. Serve it:\n"
        f"infomax serve --models-dir {shlex.quote(str(models))} --model {card.name}"
    )


def loss_in_8_bits(int8: Int8Encoder) -> str:
    """Say in a sentence what the encoder lost in 8 bits."""
    loss = int8.loss
    lost = "" if loss.points is None else f"{loss.points:.2f} points of accuracy lost at most, "
    return f"In 8 bits: {lost}mean cosine {loss.mean_cosine:.4f}."
