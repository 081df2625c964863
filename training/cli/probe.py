"""`infomax probe`: what an encoder is worth, in training or exported, and whether a card says the truth."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import onnxruntime
import typer

from contract.artefact import open_artefact
from contract.card import Calibration, ModelCard, Quality
from contract.preprocessing import Preprocessing
from training import recipe_file
from training.cli.failures import plain_failures
from training.cli.options import SkipUnreadable, Train
from training.cli.probe_report import ProbeReport, show
from training.data import ImageSet, images, open_source, set_aside
from training.data.set_aside import Shares
from training.evaluation.frozen import FrozenEncoder, exported
from training.evaluation.quality import measure_quality, shared_labels
from training.export import calibration
from training.export.card_check import comparable, compare, compare_int8
from training.export.embedding_graph import embedded, frozen_graph
from training.export.precision_loss import measure_loss
from training.export.score_scaling import Scaling
from training.loop.trained import load_run


def probe(
    train: Train,
    test: Annotated[
        Path | None,
        typer.Option(
            help="Labelled images that nothing was fitted to; default: those of --train that were set aside."
        ),
    ] = None,
    run: Annotated[Path | None, typer.Option(help="Folder of a run.")] = None,
    model: Annotated[Path | None, typer.Option(help="Model folder, compared with its card.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the figures into this file too.")] = None,
    skip_unreadable: SkipUnreadable = False,
) -> None:
    """Measure what a run's encoder or an exported model is worth; status 1 when a card does not agree."""
    if (run is None) == (model is None):
        raise typer.BadParameter("name either --run or --model")
    with plain_failures():
        if run is not None:
            probe_run(run, train, test, json, skip_unreadable)
        elif model is not None:
            probe_model(model, train, test, json, skip_unreadable)


@dataclass(frozen=True)
class _ProbeImages:
    training: ImageSet
    test: ImageSet
    split: str


def probe_run(
    run: Path, train: Path, test: Path | None, report_file: Path | None, skip_unreadable: bool
) -> None:
    """Probe the encoder in a run's checkpoint.

    Raises:
        InfomaxError: before any image is decoded where that is possible.
    """
    trained = load_run(run)
    recipe = trained.recipe
    sets = _load(train, test, images.rule(recipe), recipe, skip_unreadable)
    # As `infomax export` does, so that both come to the same figures.
    fitted, _ = sets.training.split(recipe.validation_share, recipe.seed)
    encoder = frozen_graph(embedded(trained.encoder, recipe.embedding_layer, fitted, recipe.seed))
    quality = _quality(encoder, sets, recipe.seed)
    _answer(ProbeReport(subject=str(run), quality=quality), report_file)


def probe_model(
    folder: Path, train: Path, test: Path | None, report_file: Path | None, skip_unreadable: bool
) -> None:
    """Probe an exported model, measure its maps, and compare both with its card.

    Raises:
        InfomaxError: before any image is decoded where that is possible.
        typer.Exit: with status 1 when a figure is not the card's.
    """
    artefact = open_artefact(folder)
    card = artefact.card
    shares = recipe_file.split_of(card.training.recipe_toml)
    sets = _load(train, test, card.preprocessing, shares, skip_unreadable)
    encoder = exported(_session(artefact.encoder))
    quality = _quality(encoder, sets, card.training.seed)
    critic = _session(artefact.critic)
    measured = _calibration(card, encoder, critic, sets)
    comparisons = tuple(compare(card, quality, measured)) if comparable(card, quality) else None
    if comparisons is not None and card.int8 is not None:
        int8 = exported(_session(artefact.encoder_of("int8")))
        loss = measure_loss(
            encoder, int8, sets.training, sets.test, split=sets.split, seed=card.training.seed
        )
        maps = _calibration(card, int8, critic, sets)
        comparisons += tuple(compare_int8(card.int8, loss, maps))
    report = ProbeReport(subject=card.id, quality=quality, calibration=measured, comparisons=comparisons)
    _answer(report, report_file)
    if report.disagreeing:
        raise typer.Exit(1)


def _load(
    train: Path, test: Path | None, rule: Preprocessing, shares: Shares, skip_unreadable: bool
) -> _ProbeImages:
    """Open both sets and check their classes before the first image is decoded."""
    training_source = open_source(train)
    test_source = training_source if test is None else open_source(test)
    shared_labels(training_source, test_source)
    given = images.load_images(training_source, rule, skip_unreadable=skip_unreadable)
    if test is None:
        return _ProbeImages(
            set_aside.seen(given, shares), set_aside.held_out(given, shares), f"set aside of {train}"
        )
    test_images = images.load_images(test_source, rule, skip_unreadable=skip_unreadable)
    return _ProbeImages(set_aside.seen(given, shares), test_images, str(test))


def _quality(encoder: FrozenEncoder, sets: _ProbeImages, seed: int) -> Quality:
    return measure_quality(encoder, sets.training, sets.test, split=sets.split, seed=seed)


def _calibration(
    card: ModelCard, encoder: FrozenEncoder, critic: onnxruntime.InferenceSession, sets: _ProbeImages
) -> Calibration:
    """Measure the maps as `infomax export` did: with the training images of the card, by the same banks."""
    parted = recipe_file.split_of(card.training.recipe_toml)
    fitted, _ = sets.training.split(parted.validation_share, parted.seed)
    size = min(card.calibration.bank, calibration.bank_size(len(fitted)))
    _, rows = calibration.bank_rows(len(fitted), size, parted.seed)
    other_bank = encoder.encode(fitted.take(rows).pixels, ("code",))["code"]
    return calibration.measure(
        encoder,
        critic,
        sets.test.pixels,
        other_bank,
        bank_size=card.calibration.bank,
        scaling=Scaling.of(card.calibration),
        split=sets.split,
        seed=parted.seed,
    )


def _session(graph: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])


def _answer(report: ProbeReport, report_file: Path | None) -> None:
    show(report)
    if report_file is not None:
        report_file.write_text(report.model_dump_json(indent=2) + "\n")
