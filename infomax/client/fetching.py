"""Images behind links, fetched by the client; the service fetches nothing.

The HTTP client that fetches is not the one that talks to the service, so that no API key goes elsewhere.
"""

from typing import Final

import httpx

from infomax.client.errors import ImageInputError

AT_A_TIME: Final = 8
"""Links that are fetched at the same time for one chunk."""

TIMEOUT: Final = httpx.Timeout(30.0)


class Download:
    """Body of a link, as it arrives."""

    def __init__(self, link: str, most_bytes: int) -> None:
        self._link = link
        self._most = most_bytes
        self._pieces: list[bytes] = []
        self._size = 0

    def begin(self, answer: httpx.Response) -> None:
        """Check the status.

        Raises:
            ImageInputError: it is not a good one.
        """
        if not answer.is_success:
            raise self.failed(f"it answers {answer.status_code}")

    def feed(self, piece: bytes) -> None:
        """Take the next piece.

        Raises:
            ImageInputError: there are too many bytes.
        """
        self._size += len(piece)
        if self._size > self._most:
            raise ImageInputError(
                "image_too_large", f"{self._link} has more than {self._most:,} bytes. Raise max_image_bytes."
            )
        self._pieces.append(piece)

    def content(self) -> bytes:
        """Return the whole body."""
        return b"".join(self._pieces)

    def failed(self, reason: object) -> ImageInputError:
        """Make the error of a link that cannot be fetched."""
        return ImageInputError("fetch_failed", f"{self._link} cannot be fetched: {reason}.")


def fetch(http: httpx.Client, link: str, most_bytes: int) -> bytes:
    """Fetch a link.

    Raises:
        ImageInputError: it cannot be fetched, or is too large.
    """
    download = Download(link, most_bytes)
    try:
        with http.stream("GET", link) as answer:
            download.begin(answer)
            for piece in answer.iter_bytes():
                download.feed(piece)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise download.failed(error or type(error).__name__) from error
    return download.content()


async def fetch_async(http: httpx.AsyncClient, link: str, most_bytes: int) -> bytes:
    """Fetch a link, as `fetch`."""
    download = Download(link, most_bytes)
    try:
        async with http.stream("GET", link) as answer:
            download.begin(answer)
            async for piece in answer.aiter_bytes():
                download.feed(piece)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise download.failed(error or type(error).__name__) from error
    return download.content()
