"""Row of a half's table of commands, from which the root command is built without importing any of them."""

from typing import NamedTuple


class Command(NamedTuple):
    """One command, or one group of commands.

    Attributes:
        target: what to import when it runs, as `module:name`: a function, or a `typer.Typer` for a group.
        summary: the first sentence of its docstring, for the list of commands.
        needs: packages without which it does not run, where an installation may lack them.
        extra: the extra of this distribution that installs those.
        slow: what it loads for seconds before it can say anything itself.
    """

    target: str
    summary: str
    needs: tuple[str, ...] = ()
    extra: str = ""
    slow: str = ""
