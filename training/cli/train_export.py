"""The end of `infomax train --export`: a finished run to a model, measured on images that it set aside."""

from pathlib import Path

import typer

from training.cli.export import report
from training.cli.own_release import ModelStatements, own_release
from training.data import ImageSet
from training.data.set_aside import count_fitted_and_validation
from training.errors import ExportError
from training.export import version as versions
from training.export.assembly import check_counts
from training.export.model_card import check_name as check_model_name
from training.export.model_folder import next_version
from training.loop.trained import load_run
from training.planning.choices import FEWEST_TO_SET_ASIDE
from training.recipe import Recipe


def check_name(models: Path, name: str) -> None:
    """Refuse a name, or a folder, that no model could be written into.

    Raises:
        ExportError: saying why.
    """
    check_model_name(name)
    if models.exists() and not models.is_dir():
        raise ExportError(f"--models is {models}, which is a file. Name a folder.")


def check_parts(recipe: Recipe, count: int, apart: ImageSet | None) -> None:
    """Refuse, before a run, parts of its images that an export would refuse after it.

    Args:
        recipe: of the run.
        count: of all images.
        apart: images that are set aside; None where there are none.

    Raises:
        ExportError: naming the numbers.
    """
    if apart is None and count < FEWEST_TO_SET_ASIDE:
        raise ExportError(
            f"{count} images are too few to make a model of and to measure it. Use at least "
            f"{FEWEST_TO_SET_ASIDE}, or leave --export out."
        )
    if apart is None:
        raise ExportError(
            "The run set no images aside (held_out_share = 0). Leave --export out, and name images that were "
            "kept apart to infomax export --held-out."
        )
    fitted, _ = count_fitted_and_validation(count, recipe)
    check_counts(fitted, len(apart))


def export_run(
    run: Path, data: Path, name: str, stated: ModelStatements, models: Path, given: ImageSet, apart: ImageSet
) -> None:
    """Write the next version of a model, and say how to serve it.

    Args:
        run: folder of a finished run.
        data: where its images come from.
        name: of the model.
        stated: about it.
        models: folder of models.
        given: all images of the run.
        apart: those of them that it set aside.

    Raises:
        ExportError: after saying that the run is not lost.
    """
    trained = load_run(run)
    release = own_release(name, next_version(models, name), stated, trained.recipe, data, None)
    try:
        artefact = versions.export(trained, release, given, apart, models)
    except ExportError:
        typer.echo(f"note: the run in {run} is finished; infomax export goes on from there", err=True)
        raise
    report(artefact, models)
