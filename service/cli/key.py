"""`infomax key`: API keys of the service's users."""

import typer

from service.quotas.api_keys import new_key, table_of

key = typer.Typer(help="API keys for those who may use the service.", no_args_is_help=True)


@key.callback()
def root() -> None:
    """Keep `new` a command of its own, although it is the only one."""


@key.command()
def new(
    name: str = typer.Argument(help="what logs and metrics call the key, such as crawler"),
    images_per_second: float | None = typer.Option(
        None, min=0.001, help="images that may be sent with it per second, in the long run"
    ),
    images_per_day: int | None = typer.Option(
        None, min=1, help="images that may be sent with it on one day (UTC)"
    ),
    admin: bool = typer.Option(False, "--admin", help="it may also load model versions"),
) -> None:
    """Make a key. It is shown once, on standard error; the lines that admit it go to standard output.

    infomax key new crawler >> keys.toml
    """
    secret = new_key()
    lines = table_of(name, secret, images_per_second, images_per_day, admin=admin)
    typer.secho(f"The key of {name}, which is stored nowhere and not shown again:", err=True)
    typer.secho(secret, err=True, bold=True)
    typer.echo(lines)
