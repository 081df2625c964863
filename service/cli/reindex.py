"""`infomax reindex`: the images of the index, embedded by another model."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import typer

from contract.counts import counted
from contract.errors import InfomaxError
from contract.progress import Progress
from service.cli.exit_status import STOPPED
from service.cli.one_process import for_one_process
from service.cli.setting_options import with_settings
from service.index_jobs.access import index_url
from service.index_jobs.reindexing import Reindexed
from service.index_jobs.reindexing import reindex as reindex_space
from service.inference.results import Failed
from service.inputs.names import shown_path
from service.settings import Settings
from service.system.cancellation import cancelled_by_signals

LEFT_OUT = 3
"""Exit status where items are not in the new space."""

_NAMED = 20


@with_settings(
    "model",
    "models_dir",
    "data_dir",
    "database_url",
    "originals",
    "originals_dir",
    "precision",
    "device",
    "gpu_id",
    "threads_per_run",
    "decode_threads",
    "index_exact_items",
    "index_regions",
)
def reindex(
    settings: Settings,
    source: str | None = typer.Option(
        None, "--from", help="number or model of the old space", show_default="the other one that holds items"
    ),
    prune: bool = typer.Option(
        False, "--prune", help="remove items of the new space that the old one does not hold"
    ),
    rejects: Path | None = typer.Option(
        None, help="file to list the items without an original in, as NDJSON"
    ),
) -> None:
    """Embed the images of the index by another model, beside the old vectors, which serve meanwhile.

    The images are the originals that the index keeps (INFOMAX_ORIGINALS). A run that was stopped or killed
    resumes when the same command is run again; a later run takes in what has changed. With
    --index-regions and the model itself as --from, images without regions get them. Then
    activate the model: POST /v1/models/NAME/load, or SIGHUP. Exit status: 0 done; 1 an error; 2 a wrong
    option; 3 done, but items are left out; 75 stopped, run it again.
    """
    with index_url(settings) as url, _left_out_list(rejects) as left_out:
        done = asyncio.run(_run(url, for_one_process(settings), source, left_out, prune=prune))
    if done is None:
        typer.secho("Stopped. Run the same command again to go on.", err=True, fg="yellow")
        raise typer.Exit(STOPPED)
    failed = sum(done.failures.values())
    codes = ", ".join(f"{code} {count:,}" for code, count in sorted(done.failures.items()))
    pruned = f", {done.pruned:,} removed" if done.pruned else ""
    typer.echo(
        f"{counted(done.stored, 'image')} of {done.source.name} embedded by {done.model}{pruned}, "
        f"{counted(failed, 'item')} left out{f' ({codes})' if codes else ''}. "
        f"Searches {'use a graph' if done.graph else 'are exact'}."
    )
    if failed:
        raise typer.Exit(LEFT_OUT)


async def _run(
    url: str, settings: Settings, source: str | None, left_out: "_LeftOutList", *, prune: bool
) -> Reindexed | None:
    """Re-index; None where a signal stopped it."""
    with Progress("embedding") as progress:
        left_out.progress = progress
        work = asyncio.ensure_future(
            reindex_space(url, settings, source, progress, left_out.add, prune=prune)
        )
        with cancelled_by_signals(work) as stopped:
            try:
                return await work
            except asyncio.CancelledError:
                if stopped:
                    return None
                raise


class _LeftOutList:
    """List of the items that were left out: the first ones on standard error, all of them in a file."""

    def __init__(self, path: Path | None) -> None:
        self.progress: Progress | None = None
        self._file = None if path is None else path.open("wb")
        self._count = 0

    def add(self, item_id: str, reason: Failed) -> None:
        self._count += 1
        if self.progress is not None and self._count <= _NAMED:
            self.progress.note(f"left out {item_id}: {reason.message}")
        if self._file is not None:
            row = {"id": item_id, "code": reason.code, "message": reason.message}
            self._file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))

    def close(self) -> None:
        if self.progress is not None and self._count > _NAMED:
            self.progress.note(f"and {self._count - _NAMED:,} more; --rejects FILE lists all")
        if self._file is not None:
            self._file.close()


@contextmanager
def _left_out_list(path: Path | None) -> Iterator[_LeftOutList]:
    try:
        left_out = _LeftOutList(path)
    except OSError as error:
        assert path is not None  # noqa: S101 (nothing else is opened)
        raise InfomaxError(
            f"{shown_path(path)} cannot be written: {error.strerror or error}. Name a file elsewhere."
        ) from error
    try:
        yield left_out
    finally:
        left_out.close()
