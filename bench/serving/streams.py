"""Many images in one request: `/v1/batch` from one client and from several.

Another process loads the service: `python -m bench.serving.streams PORT CLIENTS ACCEPT TAR_FILE`. Every
client sends the whole file in one request.
"""

import io
import json
import resource
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread
from time import perf_counter
from typing import IO, cast

import pyarrow as arrow

_ROOT = Path(__file__).parents[2]
NDJSON = "application/x-ndjson"
ARROW = "application/vnd.apache.arrow.stream"
FORMS = {
    "NDJSON, numbers": ("/v1/batch", NDJSON),
    "NDJSON, base64": ("/v1/batch?encoding_format=base64", NDJSON),
    "Arrow": ("/v1/batch", ARROW),
}
_TIMEOUT_SECONDS = 120.0
_PIECE = 2**20
_READY, _RESULT = "READY", "RESULT "


@dataclass(frozen=True)
class StreamLoad:
    """Result of a load of streams.

    Attributes:
        images: images that were answered with an embedding.
        seconds: time from the first byte of the first request to the last byte of the last answer.
        cpu_seconds: core seconds of the clients.
    """

    images: int
    seconds: float
    cpu_seconds: float


@contextmanager
def ready(port: int, clients: int, form: str, archive: Path) -> Iterator[Callable[[], StreamLoad]]:
    """Clients in another process; a call makes all of them send the archive."""
    command = [sys.executable, "-m", "bench.serving.streams", str(port), str(clients), form, str(archive)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=_ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        to_clients, from_clients = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)
        _expect(from_clients, _READY)

        def run() -> StreamLoad:
            to_clients.write("\n")
            to_clients.flush()
            return StreamLoad(**json.loads(_expect(from_clients, _RESULT)))

        yield run


def _expect(lines: IO[str], beginning: str) -> str:
    """Read the clients' next line, without its expected beginning."""
    line = lines.readline()
    if not line.startswith(beginning):
        raise RuntimeError(f"the clients wrote {line[:200]!r}; the reason is above")
    return line.removeprefix(beginning)


def tar(files: Sequence[bytes], count: int) -> bytes:
    """Write an archive of `count` images, which repeats the files."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as writer:
        for place in range(count):
            file = files[place % len(files)]
            member = tarfile.TarInfo(f"{place:06}.jpg")
            member.size = len(file)
            writer.addfile(member, io.BytesIO(file))
    return archive.getvalue()


def answered(reply: bytes, media_type: str) -> int:
    """Count the images of a reply that have an embedding."""
    if media_type == NDJSON:
        last = reply.rstrip(b"\n").rsplit(b"\n", 1)[-1]
        ok: int = json.loads(last)["summary"]["ok"]
        return ok
    table = arrow.ipc.open_stream(reply).read_all()
    return int(table.num_rows - table["embedding"].null_count)


def stream(port: int, path: str, media_type: str, archive: bytes) -> bytes:
    """Send an archive and read the answer at the same time; return the reply's body."""
    connection = HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)
    connection.putrequest("POST", path)
    for name, value in (
        ("Content-Type", "application/x-tar"),
        ("Content-Length", str(len(archive))),
        ("Accept", media_type),
    ):
        connection.putheader(name, value)
    connection.endheaders()
    sender = Thread(target=connection.sock.sendall, args=(archive,), daemon=True)
    sender.start()
    reply = connection.getresponse()
    pieces = []
    while piece := reply.read1(_PIECE):
        pieces.append(piece)
    sender.join()
    connection.close()
    body = b"".join(pieces)
    if reply.status != 200:
        raise RuntimeError(f"it answered {reply.status}: {body[:200]!r}")
    return body


def _main() -> None:
    port, clients, name, file = sys.argv[1:]
    archive = Path(file).read_bytes()
    path, media_type = FORMS[name]
    _say(_READY)
    sys.stdin.readline()
    with ThreadPoolExecutor(int(clients)) as pool:
        started, used = perf_counter(), _cpu_seconds()
        replies = list(pool.map(lambda _: stream(int(port), path, media_type, archive), range(int(clients))))
        seconds, used = perf_counter() - started, _cpu_seconds() - used
    images = sum(answered(reply, media_type) for reply in replies)
    found = {"images": images, "seconds": seconds, "cpu_seconds": used}
    _say(f"{_RESULT}{json.dumps(found)}")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    _main()
