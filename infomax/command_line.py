"""The root of the command line: every command by name, and imported when it runs."""

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

import service.cli
import training.cli
from contract.command_table import Command
from contract.errors import InfomaxError
from contract.extras import installation

COMMANDS: Mapping[str, Command] = {**service.cli.COMMANDS, **training.cli.COMMANDS}


def build() -> TyperGroup:
    """Assemble the command line from the tables of both halves."""
    app = typer.Typer(
        cls=_LazyGroup,
        name="infomax",
        help="Deep InfoMax image embeddings: train, measure, export, serve.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )

    @app.callback(invoke_without_command=True)
    def root(
        show_version: bool = typer.Option(False, "--version", help="Print the version and stop."),
    ) -> None:
        if show_version:
            typer.echo(version("infomax"))
            raise typer.Exit

    group = get_command(app)
    assert isinstance(group, TyperGroup)  # noqa: S101 (it has a callback)
    for name, command in COMMANDS.items():
        group.add_command(_Entry(name, command))
    return group


def load(name: str, command: Command, *, announce: bool = False) -> TyperCommand | TyperGroup:
    """Import a command.

    Args:
        name: of the command.
        command: its row of the table.
        announce: whether a line on standard error says what takes seconds to load.

    Raises:
        InfomaxError: this installation lacks packages that the command needs.
    """
    missing = [package for package in command.needs if find_spec(package) is None]
    if missing:
        raise InfomaxError(
            f"infomax {name} needs {', '.join(missing)}, which this installation lacks. "
            f"{installation(command.extra)}"
        )
    if announce and command.slow:
        typer.echo(f"infomax {name}: loading {command.slow}", err=True)
    module, _, attribute = command.target.partition(":")
    target = getattr(import_module(module), attribute)
    app = typer.Typer(rich_markup_mode=None)
    app.callback()(lambda: None)
    if isinstance(target, typer.Typer):
        app.add_typer(target, name=name)
    else:
        app.command(name)(target)
    root = get_command(app)
    assert isinstance(root, TyperGroup)  # noqa: S101 (it has a callback)
    loaded = root.commands[name]
    assert isinstance(loaded, TyperCommand | TyperGroup)  # noqa: S101 (typer makes no others)
    return loaded


class _Entry(TyperCommand):
    """Stand-in of a command in lists, help and completion."""

    def __init__(self, name: str, command: Command) -> None:
        super().__init__(name, help=command.summary, rich_markup_mode=None)
        self._command = command

    def get_short_help_str(self, limit: int = 0) -> str:  # noqa: ARG002 (typer's signature)
        """The summary, whole: a list of commands wraps it."""
        return self._command.summary

    def load(self, *, announce: bool) -> TyperCommand | TyperGroup:
        return load(self.name or "", self._command, announce=announce)


class _LazyGroup(TyperGroup):
    """Group of entries, each replaced by its command where one is chosen."""

    def resolve_command(
        self, ctx: Any, args: list[str]
    ) -> tuple[str | None, TyperCommand | TyperGroup | None, list[str]]:
        name, entry, rest = super().resolve_command(ctx, args)
        if not isinstance(entry, _Entry):
            return name, None, rest
        # A shell that completes a command line is told nothing: it would stand in the prompt.
        return name, entry.load(announce=not ctx.resilient_parsing), rest
