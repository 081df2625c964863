"""`infomax embed`: embeddings of a folder of images in a file, without a server."""

import asyncio
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import typer
from numpy.typing import NDArray

from contract.errors import InfomaxError
from contract.progress import Progress
from service.cli.setting_options import with_settings
from service.inference.pipeline import Pipeline
from service.inputs.folder import FolderFile, Hidden, files_under, folder_items
from service.inputs.names import text_of
from service.outputs.vector_files import VECTOR_FILES, VectorFile, own_files
from service.settings import Settings
from service.streaming.answers import Answer, Tally
from service.streaming.outputs import Outputs
from service.streaming.stream import Stream, Window
from service.system.cpu_count import usable_cores


class EmbedError(InfomaxError):
    """The images cannot be read, the file cannot be written, or there is nothing to write."""


@dataclass(frozen=True)
class EmbeddingRun:
    """Result of a run.

    Attributes:
        tally: images by outcome.
        seconds: time from the first image to the last, without the start of the model.
        hidden: files and folders that were not looked into.
    """

    tally: Tally
    seconds: float
    hidden: Hidden


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
    path: Path = typer.Argument(help="a folder, with all that lies below it, or one image"),
    out: Path = typer.Option(
        help="file to write: .npy (with the names in a .txt beside it), .parquet or .ndjson"
    ),
) -> None:
    """Embed the images of a folder into a file, without a server.

    Further settings are INFOMAX_... variables.
    """
    done = run(path, out, _for_one_process(settings))
    tally = done.tally
    rate = tally.ok / done.seconds if done.seconds else 0.0
    typer.echo(
        f"{tally.ok:,} embeddings in {_shown(out)}, {tally.errors:,} files left out, {rate:,.0f} images/s."
    )
    if done.hidden.count:
        typer.echo(f"{done.hidden.count:,} hidden files or folders were not read: {done.hidden}.")


def run(path: Path, out: Path, settings: Settings) -> EmbeddingRun:
    """Write the embeddings of all images below `path` to `out`; name the files that are left out on stderr.

    Raises:
        EmbedError: there is no file, no file is an image, or `out` cannot be written.
        ArtefactError: the model is missing or breaks a rule of the contract.
        SettingsError: the demanded device does not work.
    """
    path, out = path.absolute(), out.resolve()
    kind = VECTOR_FILES.get(out.suffix)
    if kind is None:
        raise EmbedError(f"{_shown(out)} has no known ending. End it in one of {', '.join(VECTOR_FILES)}.")
    if not _exists(path):
        raise EmbedError(f"There is nothing at {_shown(path)}. Name a folder of images, or an image.")
    if not out.parent.is_dir():
        raise EmbedError(f"{_shown(out)} cannot be written: there is no folder {_shown(out.parent)}.")
    # Counted first, so that the progress has a total; the names are not kept.
    hidden = Hidden()
    total = sum(1 for _ in _files(path, out, hidden))
    if not total:
        raise EmbedError(
            f"{_shown(path)} holds no file{f' but hidden ones: {hidden}' if hidden.count else ''}."
        )
    try:
        tally, seconds = asyncio.run(_embed_all(path, out, kind, total, settings))
    except OSError as error:
        raise EmbedError(f"{_shown(out)} cannot be written: {error.strerror or error}.") from error
    return EmbeddingRun(tally, seconds, hidden)


async def _embed_all(
    path: Path, out: Path, kind: type[VectorFile], total: int, settings: Settings
) -> tuple[Tally, float]:
    """Return the images by outcome, and the seconds that they took."""
    pipeline = Pipeline(settings)
    await pipeline.start()
    started = perf_counter()
    try:
        with Progress("embedding") as progress, kind(out, pipeline.card) as file:
            writer = _VectorWriter(file, progress, total)
            groups = folder_items(_files(path, out, Hidden()), settings.max_image_bytes)
            stream = Stream(groups, Outputs(pipeline, ("embedding",)), Window.of(settings))
            failure = await stream.run(writer.write)
            if failure is not None:
                raise failure
            if not writer.tally.ok:
                raise EmbedError(
                    f"None of the {total:,} files at {_shown(path)} is an image that can be read."
                )
            return writer.tally, perf_counter() - started
    finally:
        await pipeline.stop(0)


class _VectorWriter:
    """Writer of the answers: vectors to the file, failures to the terminal."""

    def __init__(self, file: VectorFile, progress: Progress, total: int) -> None:
        self.tally = Tally()
        self._file = file
        self._progress = progress
        self._total = total

    async def write(self, answers: Sequence[Answer]) -> None:
        self.tally.add(answers)
        names: list[str] = []
        vectors: list[NDArray[np.float32]] = []
        for answer in answers:
            if answer.embedding is not None:
                names.append(answer.id)
                vectors.append(answer.embedding)
            elif answer.failed is not None:
                self._progress.note(f"left out {answer.id}: {answer.failed.message}")
        if names:
            await asyncio.to_thread(self._file.write, names, np.stack(vectors))
        self._progress.update(self.tally.items, self._total)


def _files(path: Path, out: Path, hidden: Hidden) -> Iterator[FolderFile]:
    """List the files to embed, without those that this run writes."""
    own = own_files(out)
    return (file for file in files_under(path, hidden) if file.path not in own)


def _exists(path: Path) -> bool:
    """Tell whether there is anything, a link that leads nowhere included."""
    return os.path.lexists(path)


def _shown(path: Path) -> str:
    """Return a path that any terminal can print."""
    return text_of(os.fsencode(path))


def _for_one_process(settings: Settings) -> Settings:
    """Adapt the settings to one process that has the machine to itself."""
    changes: dict[str, object] = {"workers": 1}
    if "threads_per_run" not in settings.model_fields_set:
        changes["threads_per_run"] = usable_cores()
    return settings.model_copy(update=changes)
