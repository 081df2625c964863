"""One image's bytes as they arrive, held no further than the limit."""

from service.inference.results import Failed


class ImageBuffer:
    """Collects an image; one that grows past the limit is counted on but no longer held."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._parts: list[bytes | memoryview] = []

    def write(self, data: bytes | memoryview) -> None:
        """Take the next bytes; a view has to be one of bytes, which do not change any more."""
        self._size += len(data)
        if self._size > self._limit:
            self._parts.clear()
        else:
            self._parts.append(data)

    def content(self) -> bytes | Failed:
        """The whole image, or that it was too large."""
        if self._size > self._limit:
            return image_too_large(f"has {self._size:,} bytes", self._limit)
        return b"".join(self._parts)


def image_too_large(how_large: str, limit: int) -> Failed:
    """The failure of an image that was not held; `how_large` completes 'The image ...'."""
    return Failed(
        "image_too_large",
        f"The image {how_large}, the limit is {limit:,}. "
        "Send a smaller file or raise INFOMAX_MAX_IMAGE_BYTES.",
        limit,
    )
