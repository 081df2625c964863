"""Streams of images in every format, and how to read them in pieces."""

import asyncio
import base64
import io
import tarfile
import warnings
import zipfile
from collections.abc import AsyncIterator, Callable, Sequence

import orjson

from service.errors import ServiceError
from service.inputs.formats import reader_for
from service.inputs.stream import StreamItem, StreamLimits

BOUNDARY = "a-boundary-of-tests"
LIMITS = StreamLimits(image_bytes=100_000, items=1000, archive_bytes=10_000_000)

Files = Sequence[tuple[str, bytes]]


def multipart(files: Files) -> bytes:
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n'
        f"Content-Type: image/png\r\n\r\n".encode()
        + content
        + b"\r\n"
        for name, content in files
    ]
    return b"".join([*parts, f"--{BOUNDARY}--\r\n".encode()])


def ndjson(files: Files) -> bytes:
    lines = [{"id": name, "image": base64.b64encode(content).decode()} for name, content in files]
    return b"".join(orjson.dumps(line) + b"\n" for line in lines)


def tar(files: Files, tar_format: int = tarfile.PAX_FORMAT) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tar_format) as archive:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


def zipped(files: Files, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", method) as archive:
        warnings.filterwarnings("ignore", "Duplicate name", UserWarning)
        for name, content in files:
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return file.getvalue()


FORMATS: dict[str, tuple[str, Callable[[Files], bytes]]] = {
    "multipart": (f"multipart/form-data; boundary={BOUNDARY}", multipart),
    "ndjson": ("application/x-ndjson", ndjson),
    "tar": ("application/x-tar", tar),
    "zip": ("application/zip", zipped),
}


def cut(body: bytes, places: Sequence[int]) -> list[bytes]:
    """The body in pieces that end at these places."""
    ends = [*sorted(places), len(body)]
    return [body[start:end] for start, end in zip([0, *ends], ends, strict=False)]


async def pieces_of(pieces: Sequence[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def read(
    content_type: str, pieces: Sequence[bytes], limits: StreamLimits = LIMITS
) -> tuple[list[StreamItem], ServiceError | None]:
    """All items of a body, and why it could not be read further."""

    async def run() -> tuple[list[StreamItem], ServiceError | None]:
        items: list[StreamItem] = []
        reader = reader_for(content_type.split(";")[0])
        try:
            async for group in reader(pieces_of(pieces), content_type, limits):
                items.extend(group)
        except ServiceError as error:
            return items, error
        return items, None

    return asyncio.run(run())
