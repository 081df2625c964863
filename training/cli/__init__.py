"""The offline half of the `infomax` command, one file for each command.

A serving machine loads this package too, for the list of commands, and has no torch: what needs it lies in
`training.commands` and is imported when a command runs.
"""

import typer

from training.cli.ablate import ablate
from training.cli.convert_cifar import convert_cifar
from training.cli.export import export
from training.cli.measure import measure
from training.cli.probe import probe
from training.cli.quantise import quantise
from training.cli.report import report
from training.cli.reproduce import reproduce
from training.cli.train import train
from training.cli.utility import utility


def register(app: typer.Typer) -> None:
    """Add the commands to the root command."""
    app.command()(train)
    app.command()(probe)
    app.command()(measure)
    app.command()(report)
    app.command()(utility)
    app.command()(reproduce)
    app.command()(ablate)
    app.command()(export)
    app.command()(quantise)
    app.command("convert-cifar")(convert_cifar)
