"""`infomax index`: the index of items as a whole."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import orjson
import typer

from contract.counts import counted
from contract.progress import Progress
from contract.table import print_table
from service.cli.setting_options import with_settings
from service.index.originals import OriginalsFolder
from service.index_jobs.access import connected, index_url
from service.index_jobs.duplicates import find_duplicates
from service.index_jobs.exporting import export as export_space
from service.index_jobs.importing import import_file
from service.index_jobs.spaces import (
    ListedSpace,
    SpaceContent,
    choose_space,
    content_of,
    drop_space,
    list_spaces,
)
from service.inputs.names import shown_path
from service.settings import Settings

_SPACE = "number or model (name/version) of the space, as `infomax index stats` lists them"
_DIGEST_SHOWN = 12
_MEGABYTE = 2**20

T = TypeVar("T")

index = typer.Typer(
    help="Export, import, measure and clear the index, with or without a running service.",
    no_args_is_help=True,
)


@index.command()
@with_settings("data_dir", "database_url")
def stats(
    settings: Settings,
    as_json: bool = typer.Option(False, "--json", help="a line of JSON for each space"),
) -> None:
    """List the spaces of the index: one for each model version whose vectors it holds."""

    async def gather(url: str) -> list[tuple[ListedSpace, SpaceContent]]:
        async with connected(url) as connection:
            spaces = await list_spaces(connection)
            return [(one, await content_of(connection, one.space)) for one in spaces]

    found = _run(settings, gather)
    if as_json:
        for one, content in found:
            row = {"space": one.number, **asdict(one.statistics), **asdict(content)}
            typer.echo(orjson.dumps(row).decode())
        return
    head = (
        *("space", "model", "encoder", "items", "search", "thumbnails", "originals", "bare vectors", "MB"),
        *("cells", "MB of cells", "items without cells"),
    )
    print_table(head, (_row(one, content) for one, content in found))


@index.command()
@with_settings("data_dir", "database_url", "originals_dir")
def export(
    settings: Settings,
    out: Path = typer.Argument(help="Parquet file to write"),
    space: str | None = typer.Option(None, help=_SPACE, show_default="the only one that holds items"),
    pictures: bool = typer.Option(
        True, "--pictures/--no-pictures", help="also write thumbnails, and the originals that are kept"
    ),
    overwrite: bool = typer.Option(False, "--overwrite", help="replace what is at OUT"),
) -> None:
    """Write a space to a Parquet file: ids, vectors, metadata, thumbnails and originals."""

    async def work(url: str) -> str:
        async with connected(url) as connection:
            chosen = choose_space(await list_spaces(connection), space)
            folder = OriginalsFolder(settings.originals_folder)
            with Progress("exporting") as progress:
                done = await export_space(
                    connection, chosen, out, folder, progress, pictures=pictures, overwrite=overwrite
                )
        gone = f" {done.missing:,} originals are gone from {shown_path(folder.path)}." if done.missing else ""
        return (
            f"{done.items:,} items of {chosen.identity.model} in {shown_path(out)}, {done.originals:,} with "
            f"originals.{gone}"
        )

    typer.echo(_run(settings, work))


@index.command("import")
@with_settings("data_dir", "database_url", "models_dir", "originals", "originals_dir")
def import_(
    settings: Settings, files: list[Path] = typer.Argument(help="Parquet files of `infomax index export`")
) -> None:
    """Store the items of exported files. Older items of the same ids are replaced.

    Where the vector is the same, pictures and regions that the file lacks stay.
    An import that was stopped is completed by the same command.
    """

    async def work(url: str) -> None:
        async with connected(url) as connection:
            for path in files:
                with Progress("importing") as progress:
                    done = await import_file(connection, path, settings, progress)
                dropped = counted(done.dropped, "original")
                left = f" {dropped} left out: set --originals." if done.dropped else ""
                if done.without_regions:
                    left += (
                        f" {done.without_regions:,} items have another vector than before, and so no "
                        "regions: store their images again."
                    )
                typer.echo(
                    f"{done.items:,} items of {done.model} from {shown_path(path)}, {done.originals:,} with "
                    f"originals.{left}"
                )

    _run(settings, work)


@index.command()
@with_settings("data_dir", "database_url", "index_exact_items")
def duplicates(
    settings: Settings,
    space: str | None = typer.Option(None, help=_SPACE, show_default="the only one that holds items"),
    threshold: float = typer.Option(0.95, min=0, max=1, help="lowest cosine of a pair"),
    exact: bool | None = typer.Option(
        None,
        "--exact/--graph",
        help="compare all pairs, or search the graph for each item",
        show_default="exact up to INFOMAX_INDEX_EXACT_ITEMS",
    ),
    as_json: bool = typer.Option(False, "--json", help='a line {"ids", "least_score"} for each group'),
) -> None:
    """Print groups of near-duplicates: items that pairs from a cosine on join, directly or through others.

    A group is a block of lines, an id each, behind the lowest cosine of its pairs.
    """

    async def work(url: str) -> None:
        async with connected(url) as connection:
            chosen = choose_space(await list_spaces(connection), space)
        few = chosen.statistics.items <= settings.index_exact_items
        with Progress("comparing") as progress:
            groups = await find_duplicates(
                url, chosen, threshold, progress, exact=few if exact is None else exact
            )
        items = count = 0
        for group in groups:
            count, items = count + 1, items + len(group.ids)
            if as_json:
                typer.echo(orjson.dumps(asdict(group)).decode())
            else:
                typer.echo(f"{group.least_score:.4f}\n" + "".join(f"  {name}\n" for name in group.ids))
        typer.echo(f"{count:,} groups of {items:,} items of {chosen.name}.", err=True)

    _run(settings, work)


@index.command()
@with_settings("data_dir", "database_url")
def drop(
    settings: Settings,
    space: str = typer.Argument(help=_SPACE),
    yes: bool = typer.Option(False, "--yes", help="do not ask"),
) -> None:
    """Remove a space with all of its items, for instance that of a model version that is served no more.

    Originals in a folder stay.
    """

    async def work(url: str) -> str:
        async with connected(url) as connection:
            chosen = choose_space(await list_spaces(connection), space)
            if not yes:
                typer.confirm(f"Remove {chosen.name} for good?", abort=True)
            await drop_space(connection, chosen.space)
        return f"Removed {chosen.name}."

    typer.echo(_run(settings, work))


def _run(settings: Settings, work: Callable[[str], Awaitable[T]]) -> T:
    async def run(url: str) -> T:
        return await work(url)

    with index_url(settings) as url:
        return asyncio.run(run(url))


def _row(one: ListedSpace, content: SpaceContent) -> tuple[str, ...]:
    shown = one.statistics
    built = "" if shown.build is None else f", graph {100 * shown.build:.0f} %"
    return (
        str(one.number),
        shown.model,
        shown.encoder_sha256[:_DIGEST_SHOWN],
        f"{shown.items:,}",
        f"{shown.search}{built}",
        f"{content.thumbnails:,}",
        f"{content.originals:,}",
        f"{content.bare_vectors:,}",
        f"{shown.bytes / _MEGABYTE:,.1f}",
        f"{shown.cells:,}",
        f"{shown.cell_bytes / _MEGABYTE:,.1f}",
        f"{shown.items_without_regions:,}",
    )
