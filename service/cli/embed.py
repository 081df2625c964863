"""`infomax embed`: embeddings of any number of images in files, by this process or by a service."""

from pathlib import Path

import typer

from contract.counts import counted
from contract.errors import InfomaxError
from contract.extras import installation
from service.cli.exit_status import STOPPED
from service.cli.one_process import for_one_actor, for_one_process
from service.cli.setting_options import with_settings
from service.corpus.assembly import Output
from service.corpus.run import Finished, StoppedError, run_here
from service.corpus.sources import Sources
from service.inputs.names import shown_path
from service.settings import Settings

IMAGES_FAILED = 3
"""Exit status with `--fail-on-error`: the output is complete, and some images failed."""


@with_settings(
    "models_dir",
    "model",
    "device",
    "gpu_id",
    "precision",
    "threads_per_run",
    "decode_threads",
    "max_batch",
    "max_image_bytes",
    "max_image_pixels",
)
def embed(
    settings: Settings,
    sources: list[str] = typer.Argument(
        help="folders, patterns, lists (.txt: a path a line, and a label behind a tab), tar archives and "
        "WebDataset shards, Parquet files, or images"
    ),
    out: Path = typer.Option(
        help="file (.parquet, .arrow, .ndjson, or .npy with the ids in a .txt beside it) or folder of shards"
    ),
    form: str | None = typer.Option(
        None, "--format", help="of the shards: parquet, arrow, ndjson or npy", show_default="parquet"
    ),
    shard_images: int | None = typer.Option(
        None, min=1, help="images of one shard", show_default="100000 where --out is a folder"
    ),
    rejects: Path | None = typer.Option(None, help="file to list the images that failed in, as NDJSON"),
    fail_on_error: bool = typer.Option(
        False, "--fail-on-error", help=f"end with status {IMAGES_FAILED} if an image failed"
    ),
    overwrite: bool = typer.Option(False, "--overwrite", help="replace what is at --out"),
    restart: bool = typer.Option(False, "--restart", help="throw away what a stopped run has done"),
    url: str | None = typer.Option(None, help="address of a service that embeds, instead of this process"),
    api_key_file: Path | None = typer.Option(None, help="file with the API key for --url"),
    by_ray: bool = typer.Option(
        False, "--ray", help="embed by a Ray cluster: that of RAY_ADDRESS, else one on this machine"
    ),
    ray_actors: int | None = typer.Option(
        None,
        min=1,
        help="processes that --ray embeds by",
        show_default="as the cluster has cores for",
    ),
) -> None:
    """Embed images into files, in this process, by a service, or by a Ray cluster.

    A run that was stopped or killed resumes when the same command is run again. Exit status:
    0 done; 1 an error; 2 a wrong option; 3 done, but images failed (with --fail-on-error); 75 stopped, run it
    again.
    Further settings are INFOMAX_... variables.
    """
    if by_ray and url is not None:
        raise typer.BadParameter("Images are embedded by a service or by a Ray cluster. Leave one out.")
    output = Output.of(out, form, shard_images, rejects, overwrite=overwrite)
    corpus = Sources.of(sources, output.foreign())
    try:
        if by_ray:
            done = _run_by_ray(corpus, output, for_one_actor(settings), ray_actors, restart=restart)
        elif url is None:
            done = run_here(corpus, output, for_one_process(settings), restart=restart)
        else:
            # The client is not needed otherwise.
            from service.corpus.remote_run import run_by_service

            done = run_by_service(corpus, output, settings, url, _key(api_key_file), restart=restart)
    except StoppedError as error:
        typer.secho(str(error), err=True, fg="yellow")
        raise typer.Exit(STOPPED) from None
    _report(done, output, corpus)
    if fail_on_error and done.summary.failures:
        raise typer.Exit(IMAGES_FAILED)


def _run_by_ray(
    corpus: Sources, output: Output, settings: Settings, actors: int | None, *, restart: bool
) -> Finished:
    try:
        import ray.data  # noqa: F401 (asked before the rest is loaded)
    except ImportError as error:
        raise InfomaxError(f"--ray needs Ray Data, which is not installed. {installation('ray')}") from error
    from service.corpus.ray_run import run_by_ray

    return run_by_ray(corpus, output, settings, actors, restart=restart)


def _report(done: Finished, output: Output, sources: Sources) -> None:
    failed = done.summary.failures
    rate = done.images / done.seconds if done.seconds else 0.0
    codes = ", ".join(f"{code} {count:,}" for code, count in sorted(failed.items()))
    typer.echo(
        f"{counted(done.summary.ok, 'embedding')} in {shown_path(output.path)}, "
        f"{counted(failed.total(), 'file')} left out{f' ({codes})' if codes else ''}, {rate:,.0f} images/s."
    )
    if sources.hidden.count:
        typer.echo(f"{sources.hidden.count:,} hidden files or folders were not read: {sources.hidden}.")


def _key(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text().strip()
    except OSError as error:
        raise InfomaxError(
            f"{shown_path(path)} cannot be read: {error.strerror or error}. Name a file with the key."
        ) from error
