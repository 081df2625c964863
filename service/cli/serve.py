"""`infomax serve`: start of the service."""

import os

import typer

from service.cli.setting_options import with_settings
from service.cli.unknown_variables import notes_on_unknown
from service.default_folders import LOCAL_INDEX
from service.processes.parent import Serving
from service.processes.parent import serve as serve_until_stopped
from service.settings import Settings


@with_settings()
def serve(settings: Settings) -> None:
    """Serve the model over HTTP until Ctrl-C or SIGTERM.

    Each option is a setting, as is the variable INFOMAX_... of the same name; the option comes first.
    """
    for note in notes_on_unknown(os.environ):
        typer.secho(f"note: {note}", err=True, fg="yellow")
    serve_until_stopped(settings, lambda serving: _announce(serving, settings))


def _announce(serving: Serving, settings: Settings) -> None:
    processes = "1 process" if serving.workers == 1 else f"{serving.workers} processes"
    typer.echo(f"Infomax serves {serving.models} on {serving.url} ({serving.provider}, {processes}).")
    typer.echo(f"Models: {settings.models_dir.absolute()}. Index: {_index(settings)}.")
    # The last line of the start, on standard output: the log on standard error stays JSON alone.
    typer.echo(f"Open {serving.url} in a browser. Ctrl-C stops the service.")


def _index(settings: Settings) -> str:
    if settings.database_url is not None:
        return "the database of INFOMAX_DATABASE_URL"
    if "data_dir" not in settings.model_fields_set and settings.data_dir == LOCAL_INDEX.absolute():
        return f"{settings.data_dir}, found in the current folder"
    return str(settings.data_dir.absolute())
