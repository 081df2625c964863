"""The serving half of the `infomax` command: `serve`, `settings`, `doctor`, `embed` and `key`."""

import os

import typer
from rich.console import Console

from contract.table import print_table
from service.cli.doctor import State, examine
from service.cli.embed import embed
from service.cli.key import key
from service.processes.parent import Serving
from service.processes.parent import serve as serve_until_stopped
from service.settings import PREFIX, Settings, load_settings, unknown_variables

_COLOURS = {State.GOOD: "green", State.NOTE: "yellow", State.BAD: "red"}


def register(app: typer.Typer) -> None:
    """Add the commands to the root command."""
    app.command()(serve)
    app.command("settings")(show_settings)
    app.command()(doctor)
    app.command()(embed)
    app.add_typer(key, name="key")


def serve() -> None:
    """Serve the model over HTTP until Ctrl-C or SIGTERM. Settings are INFOMAX_... variables."""
    settings = load_settings()
    for name, closest in unknown_variables(os.environ):
        hint = f"; did you mean {closest}?" if closest else ""
        typer.secho(f"note: {name} is no setting and has no effect{hint}", err=True, fg="yellow")
    serve_until_stopped(settings, _announce)


def show_settings() -> None:
    """Print every setting with its present value, its default and what it does."""
    settings = load_settings()
    rows = [
        (
            PREFIX + name.upper(),
            _shown(getattr(settings, name)),
            _shown(field.default),
            field.description or "",
        )
        for name, field in Settings.model_fields.items()
    ]
    print_table(("variable", "value", "default", "what"), rows)


def doctor() -> None:
    """Check whether this machine can serve the model, and say what to do where it cannot."""
    console = Console()
    healthy = True
    for finding in examine(load_settings()):
        healthy = healthy and finding.state is not State.BAD
        console.print(f"{finding.state.value:>6}", style=_COLOURS[finding.state], end="  ")
        console.print(f"{finding.subject}: {finding.detail}", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(0 if healthy else 1)


def _announce(serving: Serving) -> None:
    processes = "1 process" if serving.workers == 1 else f"{serving.workers} processes"
    typer.echo(f"Infomax serves {serving.models} on {serving.url} ({serving.provider}, {processes}).")


def _shown(value: object) -> str:
    # A SecretStr shows itself as asterisks.
    return "" if value is None else str(value)
