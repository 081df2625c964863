"""The client for asyncio, with the methods of the other one."""

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

import httpx

from infomax.client import calls, fetching
from infomax.client.calls import Call, Filter, MapKind, Recall, SearchOptions
from infomax.client.chunks import Chunk, Entry, Job, Part, chunks_of
from infomax.client.connection import ClientOptions, own_errors, refusal_of, request_arguments, stream_timeout
from infomax.client.errors import ImageInputError
from infomax.client.image_input import ImageInput, encoded, is_link
from infomax.client.jobs import BatchJob, UploadItem, UploadJob, image_entries, upload_entries
from infomax.client.journal import Journal
from infomax.client.reporting import ProgressCallback, Reporter
from infomax.client.results import (
    BatchResult,
    Embeddings,
    ImageFailure,
    ImageResult,
    IndexedItem,
    ItemStored,
    MiMaps,
    Neighbours,
    ServedModel,
    UploadResult,
)
from infomax.client.retry import Retry
from infomax.client.trace_context import trace_headers

T = TypeVar("T")
R = TypeVar("R", ImageResult, ItemStored)
# Chunks per request at a time: the next ones are read while the oldest is waited for.
_CHUNKS_EACH = 2


class AsyncClient:
    """Client of a running service, of one event loop; closed by `async with` or `aclose`.

    Methods raise `RequestRefusedError`, `ServiceUnreachableError` or `DeadlineExceededError`, all of them
    `ClientError`.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        timeout: float | None = 60.0,
        retry: Retry | None = None,
        concurrency: int = 4,
        max_image_bytes: int = 64 * 2**20,
    ) -> None:
        """Take the options of `infomax.client.connection.ClientOptions`; nothing is sent yet."""
        self._options = ClientOptions(url, api_key, timeout, retry or Retry(), concurrency, max_image_bytes)
        self._http = httpx.AsyncClient(**self._options.http())
        self._fetcher = httpx.AsyncClient(follow_redirects=True, timeout=fetching.TIMEOUT)

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()
        await self._fetcher.aclose()

    async def embeddings(
        self, images: Sequence[ImageInput], *, dimensions: int | None = None, model: str | None = None
    ) -> Embeddings:
        """Embed a few images in one request: all of them, or an error. For many, see `batch`."""
        return await self._call(calls.embeddings(await self._load_all(images), dimensions, model))

    async def mi_maps(
        self,
        images: Sequence[ImageInput],
        *,
        reference: ImageInput | None = None,
        kind: MapKind | None = None,
        resolution: int | None = None,
        model: str | None = None,
    ) -> MiMaps:
        """Map a few images, against their own codes or that of `reference`; `kind` chooses the question.

        A `resolution` of 2 or 4 multiplies their rows and columns.
        """
        against = None if reference is None else await self._load(reference)
        return await self._call(calls.mi_maps(await self._load_all(images), against, kind, resolution, model))

    async def neighbours(
        self,
        image: ImageInput | None = None,
        *,
        id: str | None = None,  # noqa: A002 (as the route calls it)
        vector: Sequence[float] | None = None,
        k: int = 10,
        filter: Filter | None = None,  # noqa: A002
        recall: Recall | None = None,
        min_score: float | None = None,
        region: Sequence[float] | None = None,
        patches: Sequence[Sequence[int]] | None = None,
        explain: bool = False,
        maps: Sequence[MapKind] = (),
        embedding: bool = False,
        model: str | None = None,
    ) -> Neighbours:
        """Search the items nearest to an image, an item or a vector, best first.

        `maps` asks for maps of the image too, and `embedding` for the vector: the image is sent once. With a
        `region`, x, y, width and height in pixels, or `patches` of a map, each a row and a column, images are
        found that hold that part; each hit says where.
        """
        data = None if image is None else await self._load(image)
        options = SearchOptions(k, filter, recall, min_score, region, patches)
        return await self._call(calls.neighbours(data, id, vector, options, explain, model, maps, embedding))

    async def put_item(
        self,
        id: str,  # noqa: A002
        image: ImageInput | None = None,
        *,
        vector: Sequence[float] | None = None,
        metadata: Filter | None = None,
        model: str | None = None,
    ) -> None:
        """Store an image's embedding, or a vector, under an id; it is on the disk when this returns."""
        data = None if image is None else await self._load(image)
        await self._call(calls.put_item(id, data, vector, metadata, model))

    async def get_item(self, id: str, *, model: str | None = None) -> IndexedItem:  # noqa: A002
        """Read one item with its vector."""
        return await self._call(calls.get_item(id, model))

    async def delete_item(self, id: str, *, model: str | None = None) -> None:  # noqa: A002
        """Remove one item."""
        await self._call(calls.delete_item(id, model))

    async def list_items(
        self,
        prefix: str = "",
        *,
        filter: Filter | None = None,  # noqa: A002
        model: str | None = None,
    ) -> AsyncIterator[IndexedItem]:
        """Yield the items whose ids begin with a prefix, in the byte order of their ids, without vectors.

        With a filter only those whose metadata pass.
        """
        after: str | None = ""
        while after is not None:
            page = await self._call(calls.list_items(prefix, filter, after, model))
            for item in page.items:
                yield item
            after = page.next

    async def delete_items(self, prefix: str, *, model: str | None = None) -> int:
        """Remove the items whose ids begin with a prefix, all or none; return their number."""
        return await self._call(calls.delete_items(prefix, model))

    async def index_statistics(self, *, model: str | None = None) -> dict[str, Any]:
        """Read what the index holds, as GET /v1/index answers."""
        return await self._call(calls.index_statistics(model))

    async def index_plane(self, *, limit: int | None = None, model: str | None = None) -> dict[str, Any]:
        """Read a sample of the index on a plane, as GET /v1/index/plane answers."""
        return await self._call(calls.index_plane(limit, model))

    async def models(self) -> list[ServedModel]:
        """List the served models, the default one first, then versions that are not served."""
        return await self._call(calls.models())

    async def model(self, name: str) -> ServedModel:
        """Read one model by its name or `name/version`."""
        return await self._call(calls.model(name))

    async def load_model(self, name: str, version: int | None = None) -> ServedModel:
        """Let the service load the newest, or the given, version of a model."""
        return await self._call(calls.load_model(name, version))

    def batch(
        self,
        images: Iterable[Any],
        *,
        outputs: Sequence[str] = ("embedding",),
        k: int = 10,
        filter: Filter | None = None,  # noqa: A002
        recall: Recall | None = None,
        min_score: float | None = None,
        kind: MapKind | None = None,
        model: str | None = None,
        timeout: float | None = None,
        progress: ProgressCallback | bool = False,
    ) -> AsyncIterator[BatchResult]:
        """Yield one result, or named failure, for each of any number of images, in order.

        Args:
            images: of `ImageInput`, or pairs of an id and one. Read no further ahead than they are sent.
            outputs: of `embedding`, `mi_map` and `neighbours`.
            k: number of neighbours.
            filter: of the neighbours' metadata.
            recall: share of the true neighbours that has to be found.
            min_score: of the neighbours.
            kind: of the maps.
            model: that answers.
            timeout: seconds for all; None for no limit.
            progress: called with a `BatchState` after each chunk; True writes lines to standard error.
        """
        search = SearchOptions(k, filter, recall, min_score)
        job = BatchJob(outputs, search, kind, model, self._options.max_image_bytes)
        return self._results(image_entries(images), job, timeout, Reporter(progress, images))

    def index(
        self,
        items: Iterable[UploadItem],
        *,
        journal: "str | os.PathLike[str] | None" = None,
        model: str | None = None,
        timeout: float | None = None,
        progress: ProgressCallback | bool = False,
    ) -> AsyncIterator[UploadResult]:
        """Store any number of items; yield one result, or named failure, for each, in order.

        Args:
            items: read no further ahead than they are sent. An id that comes twice may keep either item.
            journal: a file that remembers how far the upload came; with it, the next run over the same items
                goes on there, and yields results for the rest.
            model: that answers.
            timeout: seconds for all; None for no limit.
            progress: as of `batch`.
        """
        job = UploadJob(model, self._options.max_image_bytes)
        report = Reporter(progress, items)
        if journal is None:
            return self._results(upload_entries(items), job, timeout, report)
        book = Journal(journal)
        entries = upload_entries(book.skip(items), book.settled)
        return self._results(
            entries, job, timeout, report, lambda results: book.settle([one.id for one in results])
        )

    async def _call(self, call: Call[T]) -> T:
        options = self._options
        deadline = options.deadline(options.timeout)

        async def attempt() -> T:
            with own_errors(options.url, deadline):
                answer = await self._http.request(**request_arguments(call, deadline))
            if not answer.is_success:
                raise refusal_of(answer)
            return call.read(answer)

        return await options.retry.asynchronous(deadline)(attempt)

    async def _results(
        self,
        entries: Iterable[Entry],
        job: Job[R],
        timeout: float | None,  # noqa: ASYNC109 (of all its requests, as of the other client)
        report: Reporter,
        settle: Callable[[Sequence[Any]], None] = lambda _results: None,
    ) -> AsyncIterator[R | ImageFailure]:
        deadline = self._options.deadline(timeout)
        chunks = chunks_of(entries, job)
        waiting: deque[asyncio.Task[list[R | ImageFailure]]] = deque()
        turns = asyncio.Semaphore(self._options.concurrency)
        failure: Exception | None = None
        try:
            while True:
                while failure is None and len(waiting) < _CHUNKS_EACH * self._options.concurrency:
                    try:
                        # The caller's iterable may read files, or wait.
                        chunk = await asyncio.to_thread(next, chunks, None)
                    except Exception as error:  # the caller's: what came before it is answered
                        failure = error
                        break
                    if chunk is None:
                        break
                    waiting.append(asyncio.create_task(self._send_chunk(chunk, job, deadline, turns)))
                if not waiting and failure is not None:
                    raise failure
                if not waiting:
                    return
                results = await waiting[0]
                waiting.popleft()
                settle(results)
                report.add(results)
                for one in results:
                    yield one
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def _send_chunk(
        self, chunk: Chunk[R], job: Job[R], deadline: float | None, turns: asyncio.Semaphore
    ) -> list[R | ImageFailure]:
        async with turns:
            await self._fetch(chunk)
            while (part := await asyncio.to_thread(chunk.next_part)) is not None:
                retrying = self._options.retry.asynchronous(deadline)
                await retrying(partial(self._send_part, part, job, deadline))
            return chunk.results

    async def _send_part(self, part: Part[R], job: Job[R], deadline: float | None) -> None:
        with own_errors(self._options.url, deadline):
            request = self._http.stream(
                "POST",
                job.path,
                params=job.query,
                headers={**trace_headers(), "Content-Type": job.content_type},
                content=part.body(),
                timeout=stream_timeout(deadline),
            )
            async with request as answer:
                if not answer.is_success:
                    await answer.aread()
                    raise refusal_of(answer)
                async for piece in answer.aiter_raw():
                    part.feed(piece)
        part.finish()

    async def _fetch(self, chunk: Chunk[R]) -> None:
        turns = asyncio.Semaphore(fetching.AT_A_TIME)

        async def fetched(place: int, link: str) -> None:
            async with turns:
                try:
                    content: bytes | ImageInputError = await self._load(link)
                except ImageInputError as error:
                    content = error
            chunk.fetched(place, content)

        await asyncio.gather(*(fetched(place, link) for place, link in chunk.links()))

    async def _load_all(self, images: Sequence[ImageInput]) -> list[bytes]:
        return [*await asyncio.gather(*map(self._load, images))]

    async def _load(self, image: ImageInput) -> bytes:
        most = self._options.max_image_bytes
        if is_link(image):
            return await fetching.fetch_async(self._fetcher, str(image), most)
        return await asyncio.to_thread(encoded, image, most)
