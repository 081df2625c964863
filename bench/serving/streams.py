"""Many images in one request: `/v1/batch` from one client and from several.

A process of its own loads the service: `python -m bench.serving.streams PORT CLIENTS ACCEPT TAR_FILE`,
where every client sends the whole file in one request.
"""

import io
import json
import resource
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread
from time import perf_counter

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


@dataclass(frozen=True)
class StreamLoad:
    """What streams found.

    Attributes:
        images: those that were answered with an embedding.
        seconds: from the first request's first byte to the last answer's last.
        cpu_seconds: what the clients used.
    """

    images: int
    seconds: float
    cpu_seconds: float


def run(port: int, clients: int, form: str, archive: Path) -> StreamLoad:
    """Let so many clients send the archive at the same time, in a process of their own."""
    command = [sys.executable, "-m", "bench.serving.streams", str(port), str(clients), form, str(archive)]
    done = subprocess.run(
        command, cwd=_ROOT, capture_output=True, text=True, check=True, timeout=_TIMEOUT_SECONDS
    )
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    return StreamLoad(**json.loads(line.removeprefix("RESULT ")))


def tar(files: Sequence[bytes], count: int) -> bytes:
    """An archive of `count` images, the files again and again."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as writer:
        for place in range(count):
            file = files[place % len(files)]
            member = tarfile.TarInfo(f"{place:06}.jpg")
            member.size = len(file)
            writer.addfile(member, io.BytesIO(file))
    return archive.getvalue()


def answered(reply: bytes, media_type: str) -> int:
    """How many images of a whole reply have an embedding."""
    if media_type == NDJSON:
        last = reply.rstrip(b"\n").rsplit(b"\n", 1)[-1]
        ok: int = json.loads(last)["summary"]["ok"]
        return ok
    import pyarrow as arrow  # only here, since it takes longer to load than a request

    table = arrow.ipc.open_stream(reply).read_all()
    return int(table.num_rows - table["embedding"].null_count)


def stream(port: int, path: str, media_type: str, archive: bytes) -> bytes:
    """Send an archive and read the answer at the same time; the reply's body."""
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
    with ThreadPoolExecutor(int(clients)) as pool:
        started, used = perf_counter(), _cpu_seconds()
        replies = list(pool.map(lambda _: stream(int(port), path, media_type, archive), range(int(clients))))
        seconds, used = perf_counter() - started, _cpu_seconds() - used
    images = sum(answered(reply, media_type) for reply in replies)
    found = {"images": images, "seconds": seconds, "cpu_seconds": used}
    sys.stdout.write(f"RESULT {json.dumps(found)}\n")


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    _main()
