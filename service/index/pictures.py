"""Pictures kept beside the vectors: a thumbnail of every image, and its original by choice.

Thumbnails are made anew from the pixels, so that no metadata of the original (place, camera) is in them.
"""

import asyncio
import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Literal, TypeVar

from PIL import Image

from contract.card import ModelCard
from contract.errors import ImageError
from contract.image_limits import ImageLimits
from contract.images import open_rgb
from contract.preprocessing import Preprocessing
from service.index.cells import CellGrid
from service.index.items import Metadata, NewItem, StoredPicture
from service.index.originals import OriginalsFolder
from service.inference.image_size import image_size
from service.inference.results import Embedded, Want
from service.settings import Settings

THUMBNAIL_SIDE = 128
# An image this small is kept as it is, pixel by pixel: it weighs no more than a thumbnail of another.
_EXACT_SIDE = 64
_JPEG_QUALITY = 90
_DEFLATE = 1
# What has more pixels, and cannot be decoded smaller, has a thread of its own.
_LARGE_PIXELS = 2_000_000

Source = Literal["original", "thumbnail"]
T = TypeVar("T")


class Pictures:
    """Keeper of pictures for one model version. All methods belong to one event loop."""

    def __init__(self, card: ModelCard, settings: Settings) -> None:
        """Take background and colors from the model's rule, and what is kept from the settings."""
        self._rule = card.preprocessing
        self._cells = CellGrid.of(card) if settings.index_regions else None
        self._limits = settings.image_limits
        self._originals = settings.originals
        self._folder = OriginalsFolder(settings.originals_folder)
        self._ordinary = ThreadPoolExecutor(1, thread_name_prefix="thumbnails")
        self._large = ThreadPoolExecutor(1, thread_name_prefix="large-thumbnails")

    @property
    def want(self) -> Want:
        """How much of the model an image needs to be kept."""
        return Want.EMBEDDING if self._cells is None else Want.PROJECTIONS

    def stop(self) -> None:
        """Begin no more thumbnails."""
        for threads in (self._ordinary, self._large):
            threads.shutdown(wait=False, cancel_futures=True)

    async def item(self, item_id: str, metadata: Metadata, data: bytes, embedded: Embedded) -> NewItem:
        """Make the item of an image that was embedded with `want`.

        Raises:
            IndexReadOnlyError: the folder of originals cannot be written to.
        """
        cells = None
        if self._cells is not None and embedded.projections is not None:
            cells = self._cells.pool(embedded.projections.local)
        thumbnail = await self._thumbnail(data)
        original = digest = None
        if self._originals == "database":
            original, digest = data, hashlib.sha256(data).digest()
        elif self._originals == "folder":
            digest = await asyncio.to_thread(self._folder.write, data)
        image = embedded.image
        return NewItem(
            item_id,
            embedded.embedding,
            metadata,
            embedded.code,
            image.original_width,
            image.original_height,
            image.format,
            thumbnail,
            original,
            digest,
            cells=cells,
        )

    async def original(self, picture: StoredPicture) -> bytes | None:
        """Return the encoded image as it came; None where it was not kept, or is gone."""
        if picture.original is not None or picture.original_sha256 is None:
            return picture.original
        return await asyncio.to_thread(self._folder.read, picture.original_sha256)

    async def best(self, picture: StoredPicture) -> tuple[bytes, Source] | None:
        """Return the original, else the thumbnail; None for a bare vector."""
        original = await self.original(picture)
        if original is not None:
            return original, "original"
        return None if picture.thumbnail is None else (picture.thumbnail, "thumbnail")

    async def _thumbnail(self, data: bytes) -> bytes | None:
        kind, pixels = image_size(data)
        large = pixels > _LARGE_PIXELS and kind != "JPEG"
        return await self._in(
            self._large if large else self._ordinary, lambda: thumbnail_of(data, self._rule, self._limits)
        )

    async def _in(self, threads: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(threads, work)


def thumbnail_of(data: bytes, rule: Preprocessing, limits: ImageLimits) -> bytes | None:
    """Make a JPEG whose longer side has at most 128 pixels, or a PNG with all pixels of a small image.

    None for an image that cannot be decoded, which the caller has found out before.
    """
    try:
        image = open_rgb(data, limits, rule.background, rule.color_profile, least_side=2 * THUMBNAIL_SIDE)
    except ImageError:
        return None
    file = BytesIO()
    if max(image.size) <= _EXACT_SIDE:
        image.save(file, "PNG", compress_level=_DEFLATE)
        return file.getvalue()
    longer = max(image.size)
    if longer > THUMBNAIL_SIDE:
        width, height = (max(1, round(side * THUMBNAIL_SIDE / longer)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2)
    image.save(file, "JPEG", quality=_JPEG_QUALITY)
    return file.getvalue()
