"""`infomax models`: the models of a folder, by what their cards state."""

import json
from dataclasses import asdict

import typer

from contract.errors import ArtefactError, InfomaxError
from contract.model_folders import model_folders
from contract.table import print_table
from service.cli.setting_options import with_settings
from service.inference.locating import locate
from service.models.comparison import ModelComparison
from service.models.figures import FIGURES, figure
from service.models.summary import ModelSummary, card_of
from service.settings import Settings

models = typer.Typer(help="List, show and compare the models of a folder.", no_args_is_help=True)
_JSON = typer.Option(False, "--json", help="print JSON instead of a table")
_MODEL = "a name, for its newest version, or name/version"
_COLUMNS = ("size", "input", "kNN accuracy", "linear accuracy", "measured on", "licence")


@models.command("list")
@with_settings("models_dir")
def list_models(settings: Settings, as_json: bool = _JSON) -> None:
    """List every model version, with size, input size, accuracy and licence.

    A folder whose card is invalid is named on standard error, and the exit status is 1.
    """
    found, invalid = [], []
    for folder in model_folders(settings.models_dir):
        try:
            found.append(ModelSummary.of(folder))
        except ArtefactError as error:
            invalid.append(str(error))
    if as_json:
        _print_json([asdict(one) for one in found])
    else:
        rows = (
            (one.name, str(one.version), *(figure(name).shown(one) for name in _COLUMNS)) for one in found
        )
        print_table(("name", "version", *_COLUMNS), rows)
    for message in invalid:
        typer.secho(f"error: {message}", err=True, fg="red")
    if not found and not invalid:
        raise InfomaxError(f"{settings.models_dir} holds no model. Name a folder with --models-dir.")
    raise typer.Exit(1 if invalid else 0)


@models.command()
@with_settings("models_dir")
def card(settings: Settings, model: str = typer.Argument(help=_MODEL), as_json: bool = _JSON) -> None:
    """Show what the card of one model states; the whole card as JSON."""
    folder = locate(settings.models_dir, model)
    if as_json:
        typer.echo(card_of(folder).to_json(), nl=False)
        return
    summary = ModelSummary.of(folder)
    print_table(("what", summary.id), ((one.name, one.shown(summary)) for one in FIGURES))
    for limit in card_of(folder).limits:
        typer.echo(f"Limit: {limit}")


@models.command()
@with_settings("models_dir")
def compare(
    settings: Settings,
    first: str = typer.Argument(metavar="A", help=_MODEL),
    second: str = typer.Argument(metavar="B", help=_MODEL),
    as_json: bool = _JSON,
) -> None:
    """Compare two models; differences are of B against A.

    Accuracies have a difference only where both were measured on the same images.
    """
    comparison = ModelComparison.of(
        *(ModelSummary.of(locate(settings.models_dir, model)) for model in (first, second))
    )
    if as_json:
        _print_json(asdict(comparison))
        return
    head = ("what", comparison.first.id, comparison.second.id, "difference")
    print_table(head, comparison.rows())
    typer.echo(comparison.note)


def _print_json(value: object) -> None:
    typer.echo(json.dumps(value, indent=2))
