"""One run of `infomax embed`: from sources to an output, over as many starts as it takes."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from time import perf_counter

import pyarrow as pa

from contract.errors import InfomaxError
from contract.progress import Progress
from service.corpus.assembly import NothingEmbeddedError, Output, Summary, assemble
from service.corpus.checkpoint import Checkpoint
from service.corpus.image import CorpusImage
from service.corpus.local_run import embed_here
from service.corpus.recorder import Recorder
from service.corpus.rows import schema_of
from service.corpus.sources import Sources
from service.inference.pipeline import Pipeline
from service.inputs.names import shown_path
from service.settings import Settings


class EmbedError(InfomaxError):
    """The output cannot be written."""


class StoppedError(InfomaxError):
    """The run was stopped, or the service it asks is away; the same command goes on with it."""


@dataclass(frozen=True)
class Finished:
    """Result of a run.

    Attributes:
        summary: images by outcome, of all starts.
        images: images of this start.
        seconds: that they took, without the start of the model.
    """

    summary: Summary
    images: int
    seconds: float


@dataclass(frozen=True)
class CorpusEncoder:
    """What makes the vectors.

    Attributes:
        model: `name/version`.
        dimensions: D.
        key: what decides its vectors.
        embed: embeds the images and records them; whether it was stopped.
    """

    model: str
    dimensions: int
    key: str
    embed: Callable[[Iterator[CorpusImage], Recorder], bool]


def run_here(sources: Sources, output: Output, settings: Settings, *, restart: bool = False) -> Finished:
    """Embed in this process.

    Raises:
        InfomaxError: as `run`.
        ArtefactError: the model is missing or breaks a rule of the contract.
        SettingsError: the demanded device does not work.
    """

    async def embed(images: Iterator[CorpusImage], recorder: Recorder) -> bool:
        await pipeline.start()
        try:
            return await embed_here(pipeline, images, recorder, settings)
        finally:
            await pipeline.stop(0)

    pipeline = Pipeline(settings)
    encoder = CorpusEncoder(
        pipeline.card.id,
        pipeline.card.shapes.embedding,
        pipeline.key,
        lambda images, recorder: asyncio.run(embed(images, recorder)),
    )
    return run(sources, output, encoder, settings, restart=restart)


def run(
    sources: Sources, output: Output, encoder: CorpusEncoder, settings: Settings, *, restart: bool
) -> Finished:
    """Embed what no earlier start has embedded, and write the output.

    Raises:
        StoppedError: the run was stopped.
        CheckpointError: another run is at work on the output, or has left other work there.
        SourceError, ColumnError: there is no image, or no column of images.
        NothingEmbeddedError: no file is an image.
        EmbedError: the output cannot be written.
    """
    total = sources.count()
    schema = schema_of(encoder.dimensions, encoder.model)
    remove = False
    try:
        checkpoint = Checkpoint(output.path, _identity(sources, output, encoder, settings), restart=restart)
        try:
            started = perf_counter()
            images = _embed_rest(sources, checkpoint, encoder, schema, total)
            seconds = perf_counter() - started
            summary = assemble(checkpoint, output, schema)
            remove = True
        except NothingEmbeddedError:
            remove = True
            raise
        finally:
            checkpoint.close(remove=remove)
    except OSError as error:
        reason = error.strerror or error
        raise EmbedError(f"{shown_path(output.path)} cannot be written: {reason}.") from error
    return Finished(summary, images, seconds)


def _embed_rest(
    sources: Sources, checkpoint: Checkpoint, encoder: CorpusEncoder, schema: pa.Schema, total: int | None
) -> int:
    """Embed what is not on the disk yet; the number of those images."""
    images = sources.images()
    checkpoint.skip(images)
    try:
        # So that no model is loaded, and no service asked, where all is done.
        first = next(images)
    except StopIteration:
        return 0
    with Progress("embedding") as progress:
        recorder = Recorder(checkpoint, schema, progress, total)
        try:
            stopped = encoder.embed(chain((first,), images), recorder)
        finally:
            recorder.commit(now=True)
    if stopped:
        of = "" if total is None else f" of {total:,}"
        raise StoppedError(
            f"Stopped: {checkpoint.images:,}{of} images are kept in {shown_path(checkpoint.folder)}. "
            "Run the same command again to go on."
        )
    return recorder.images


def _identity(
    sources: Sources, output: Output, encoder: CorpusEncoder, settings: Settings
) -> dict[str, object]:
    """List what decides the rows of a run, by names that a message can hold."""
    return {
        "version of the work folder": 1,
        "list of sources": [shown_path(path) for path in sources.paths],
        "model or precision": encoder.key,
        "limit of bytes": settings.max_image_bytes,
        "limit of pixels": settings.max_image_pixels,
        "output": [output.suffix, output.shard_images],
    }
