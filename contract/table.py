"""A table on standard output, the same way for every command."""

from collections.abc import Iterable

import typer
from rich.console import Console
from rich.table import Table


def print_table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """A table in a terminal; elsewhere plain lines with tabs, for programs that read them."""
    console = Console()
    if not console.is_terminal:
        for row in (head, *rows):
            typer.echo("\t".join(row))
        return
    table = Table(*head)
    for row in rows:
        table.add_row(*row)
    console.print(table)
