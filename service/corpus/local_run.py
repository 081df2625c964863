"""Images embedded in this process."""

import asyncio
from collections.abc import Iterator, Sequence

from service.corpus.image import CorpusImage
from service.corpus.recorder import RowCollector
from service.inference.pipeline import Pipeline
from service.inference.results import Failed
from service.inputs.stream import Groups, StreamItem
from service.settings import Settings
from service.streaming.answers import Answer
from service.streaming.outputs import Outputs
from service.streaming.stream import Stream, Window
from service.system.cancellation import cancelled_by_signals

# Images per trip to a thread.
_GROUP_ITEMS = 64
_GROUP_BYTES = 4 * 2**20


async def embed_here(
    pipeline: Pipeline, images: Iterator[CorpusImage], recorder: RowCollector, settings: Settings
) -> bool:
    """Embed images and record them; whether a signal stopped it.

    Raises:
        ServiceError: the pipeline cannot answer any more.
    """
    writer = _Writer(recorder)
    groups = _groups(images, settings.max_image_bytes, recorder)
    stream = Stream(groups, Outputs(pipeline, ("embedding",)), Window.of(settings))
    run = asyncio.ensure_future(stream.run(writer.write))
    with cancelled_by_signals(run) as stopped:
        try:
            failure = await run
        except asyncio.CancelledError:
            if not stopped:
                raise
            return True
    if failure is not None:
        raise failure
    return False


class _Writer:
    """Writer of the answers, which come in the order of the images."""

    def __init__(self, recorder: RowCollector) -> None:
        self._recorder = recorder

    async def write(self, answers: Sequence[Answer]) -> None:
        for answer in answers:
            if answer.failed is not None:
                self._recorder.record(answer.failed)
            elif answer.embedding is not None:
                size = answer.image
                width, height = (size.original_width, size.original_height) if size else (None, None)
                self._recorder.record(answer.embedding, width, height)
        await asyncio.to_thread(self._recorder.commit)


async def _groups(images: Iterator[CorpusImage], limit: int, recorder: RowCollector) -> Groups:
    numbered = enumerate(images)
    while group := await asyncio.to_thread(_next_group, numbered, limit, recorder):
        yield group


def _next_group(
    images: Iterator[tuple[int, CorpusImage]], limit: int, recorder: RowCollector
) -> list[StreamItem]:
    group: list[StreamItem] = []
    size = 0
    for index, image in images:
        content: bytes | Failed = image.read(limit)
        recorder.expect(image, content)
        group.append(StreamItem(index, image.id, content))
        size += group[-1].size
        if len(group) == _GROUP_ITEMS or size >= _GROUP_BYTES:
            break
    return group
