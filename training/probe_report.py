"""The answer of `infomax probe`: a table in a terminal, plain lines with tabs elsewhere."""

from collections.abc import Iterator, Sequence

import typer
from rich.console import Console
from rich.table import Table

from contract.card import Quality
from training.agreement import Comparison, score_name


def show(subject: str, quality: Quality, comparisons: Sequence[Comparison]) -> None:
    """Print the figures, beside the card's where there is a card, and whether they agree."""
    if comparisons:
        _print(("figure", "measured", "card", "agrees"), list(_compared(comparisons)))
    else:
        _print(("probe", "dimensions", "accuracy"), list(_scores(quality)))
    typer.echo(f"Always answering the most frequent class is right for {quality.majority:.2%}.")
    wrong = [comparison.figure for comparison in comparisons if not comparison.agrees]
    if wrong:
        typer.echo(f"NOT what the card of {subject} says: {', '.join(wrong)}.")
    elif comparisons:
        typer.echo(f"All figures agree with the card of {subject}.")


def _scores(quality: Quality) -> Iterator[tuple[str, ...]]:
    for score in quality.scores:
        yield score_name(score), str(score.dimensions), f"{score.accuracy:.4f}"


def _compared(comparisons: Sequence[Comparison]) -> Iterator[tuple[str, ...]]:
    for one in comparisons:
        yield one.figure, _figure(one.measured), _figure(one.card), "yes" if one.agrees else "no"


def _figure(value: float | None) -> str:
    if value is None:
        return ""
    return str(int(value)) if float(value).is_integer() and value > 1 else f"{value:.4f}"


def _print(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    console = Console()
    if not console.is_terminal:
        for row in (head, *rows):
            typer.echo("\t".join(row))
        return
    table = Table(*head)
    for row in rows:
        table.add_row(*row)
    console.print(table)
