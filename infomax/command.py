"""Entry point of the `infomax` command.

A spawned worker process runs this module again before it finds its work, so what the command line needs is
imported only when a command runs.
"""

import sys
from pathlib import Path

from infomax.import_path import put_before_namesakes

put_before_namesakes(Path(__file__).absolute().parents[1], sys.path)


def main() -> None:
    """Run the command line; an expected failure is one message on standard error and exit status 1."""
    from contract.errors import InfomaxError
    from contract.extras import installation

    try:
        from infomax.command_line import build
    except ModuleNotFoundError as error:
        # The client is installed alone.
        sys.exit(
            f"error: The infomax command needs {error.name}, which this installation lacks. "
            f"{installation('serving')}"
        )

    try:
        build()(prog_name="infomax")
    except InfomaxError as error:
        import typer

        typer.secho(f"error: {error}", err=True, fg="red")
        sys.exit(1)
