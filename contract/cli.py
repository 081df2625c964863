"""The root of the `infomax` command.

Each half registers its commands under the entry-point group `infomax.commands`; this module knows
neither half, so that a serving machine needs no torch and a training machine no web server.
"""

import sys
from collections.abc import Callable
from importlib.metadata import entry_points, version

import typer

from contract.errors import InfomaxError

COMMANDS = "infomax.commands"


def build() -> typer.Typer:
    """Assemble the command line from every registered half; each entry point is `register(app)`."""
    app = typer.Typer(
        name="infomax",
        help="Deep InfoMax image embeddings: train, measure, export, serve.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )

    @app.callback(invoke_without_command=True)
    def root(
        show_version: bool = typer.Option(False, "--version", help="Print the version and stop."),
    ) -> None:
        if show_version:
            typer.echo(version("infomax"))
            raise typer.Exit

    for entry in sorted(entry_points(group=COMMANDS), key=lambda entry: entry.name):
        register: Callable[[typer.Typer], None] = entry.load()
        register(app)
    return app


def main() -> None:
    """Run the command line; an expected failure is one sentence on stderr and exit status 1."""
    try:
        build()()
    except InfomaxError as error:
        typer.secho(f"error: {error}", err=True, fg="red")
        sys.exit(1)
