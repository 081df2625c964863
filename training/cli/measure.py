"""`infomax measure`: what the code of a frozen encoder says, in training or exported."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import onnxruntime
import typer

from contract.artefact import open_artefact
from contract.preprocessing import Preprocessing
from training import recipe_file
from training.cli.exit_status import STOPPED
from training.cli.failures import plain_failures
from training.cli.options import SkipUnreadable, Train
from training.data import images, open_source, set_aside
from training.data.set_aside import Shares
from training.errors import TrainingError
from training.evaluation.frozen import FrozenEncoder, exported, without_embedding
from training.evaluation.measures import MEASURES, Figure, MeasureInputs, Stopped, draw_inputs
from training.evaluation.measures.report import MeasureReport, show, sizes
from training.evaluation.quality import shared_labels
from training.loop.trained import load_run
from training.system import signals
from training.system.atomic_file import write_whole


def measure(
    train: Train,
    test: Annotated[Path, typer.Option(help="Images that nothing was fitted to; labels are not needed.")],
    run: Annotated[Path | None, typer.Option(help="Folder of a run.")] = None,
    model: Annotated[Path | None, typer.Option(help="Model folder.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the figures into this file too.")] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="A measure to make, instead of all; once for each.")
    ] = None,
    skip_unreadable: SkipUnreadable = False,
) -> None:
    """Measure what a frozen encoder's code says: MINE, NDM, a decoder's MS-SSIM, occlusion, coordinates."""
    if (run is None) == (model is None):
        raise typer.BadParameter("name either --run or --model")
    with plain_failures():
        request = Request(train, test, json, tuple(only or ()), skip_unreadable)
        if run is not None:
            measure_run(run, request)
        elif model is not None:
            measure_model(model, request)


@dataclass(frozen=True)
class Request:
    """Images and measures that a user has named.

    Attributes:
        train, test: images to fit on, and images that nothing was fitted to.
        report_file: where the figures are written too.
        only: names of measures; none means all.
        skip_unreadable: leave out all unreadable images.
    """

    train: Path
    test: Path
    report_file: Path | None
    only: Sequence[str] = ()
    skip_unreadable: bool = False

    @property
    def names(self) -> list[str]:
        """The measures to make, in the order of the registry."""
        return [name for name in MEASURES if not self.only or name in self.only]


def measure_run(run: Path, request: Request) -> None:
    """Measure the encoder in a run's checkpoint.

    Raises:
        InfomaxError: before any image is decoded where that is possible.
        typer.Exit: with status 75 when a signal stopped it.
    """
    _check(request)
    trained = load_run(run)
    encoder = without_embedding(trained.encoder)
    _measure(str(run), encoder, images.rule(trained.recipe), trained.recipe, request)


def measure_model(folder: Path, request: Request) -> None:
    """Measure an exported model.

    Raises:
        InfomaxError: before any image is decoded where that is possible.
        typer.Exit: with status 75 when a signal stopped it.
    """
    _check(request)
    artefact = open_artefact(folder)
    session = onnxruntime.InferenceSession(artefact.encoder, providers=["CPUExecutionProvider"])
    card = artefact.card
    shares = recipe_file.split_of(card.training.recipe_toml)
    _measure(card.id, exported(session), card.preprocessing, shares, request)


def _check(request: Request) -> None:
    """Refuse now what would only be found out after minutes."""
    for name in request.only:
        if name not in MEASURES:
            raise TrainingError(f"There is no measure {name!r}; choose one of {', '.join(MEASURES)}.")
    if request.report_file is not None and not request.report_file.parent.is_dir():
        raise TrainingError(f"There is no folder {request.report_file.parent} to write the figures into.")


def _measure(
    name: str, encoder: FrozenEncoder, rule: Preprocessing, shares: Shares, request: Request
) -> None:
    training_source, test_source = open_source(request.train), open_source(request.test)
    if training_source.labels is not None and test_source.labels is not None:
        shared_labels(training_source, test_source)
    given, test = (
        images.load_images(training_source, rule, skip_unreadable=request.skip_unreadable),
        images.load_images(test_source, rule, skip_unreadable=request.skip_unreadable),
    )
    training, seed = set_aside.seen(given, shares), shares.seed
    figures: list[Figure] = []
    with signals.watch() as asked:
        inputs = draw_inputs(encoder, training, test, seed, asked)

        def report() -> MeasureReport:
            finished = {figure.measure for figure in figures}
            return MeasureReport(
                subject=name,
                seed=seed,
                training_images=len(inputs.training),
                training_images_given=len(training),
                test_images=len(inputs.test),
                test_images_given=len(test),
                figures=tuple(figures),
                unfinished=tuple(each for each in request.names if each not in finished),
            )

        for measure in request.names:
            try:
                figures += _figures(measure, inputs)
            except Stopped:
                break
            if request.report_file is not None:
                # After each measure: a crash costs only the one that was being made.
                write_whole(request.report_file, report().model_dump_json(indent=2) + "\n")
    _answer(report())


def _figures(measure: str, inputs: MeasureInputs) -> list[Figure]:
    if inputs.interruption.requested:
        raise Stopped
    return MEASURES[measure](inputs)


def _answer(report: MeasureReport) -> None:
    show(report)
    typer.echo(sizes(report))
    if report.unfinished:
        again = " ".join(f"--only {name}" for name in report.unfinished)
        typer.echo(f"Stopped by a signal; make the rest with the same command and {again}.")
        raise typer.Exit(STOPPED)
