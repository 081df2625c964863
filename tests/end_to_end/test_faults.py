"""The real server process against hostile images, a killed database and a full disk."""

import io
import os
import subprocess
import sys
import tarfile
import tempfile
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from struct import pack
from typing import Any

import httpx
import orjson
import psutil
import pytest
from PIL import Image

from tests.end_to_end.server import Server, serving, wait_for
from tests.pictures import encoded, landscape, photo

JPEG = {"content-type": "image/jpeg"}
SIDE = 30_000
# What such an image would take in RGB, and far more than everything else takes.
BOMB_BYTES = SIDE * SIDE * 3


def png_bomb() -> bytes:
    """A valid PNG of 30,000 x 30,000 pixels in some hundred kilobytes."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return pack(">I", len(content)) + name + content + pack(">I", zlib.crc32(name + content))

    # One bit a pixel; each row begins with its filter's number.
    rows = zlib.compress(bytes((1 + SIDE // 8) * SIDE), 1)
    header = pack(">IIBBBBB", SIDE, SIDE, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def scan_bomb() -> bytes:
    """A progressive JPEG of three megapixels whose last scan comes three hundred times."""
    data = encoded(landscape(2000, 1500), "JPEG", progressive=True)
    scan = data.rindex(b"\xff\xda")
    return data[:scan] + data[scan:-2] * 300 + data[-2:]


def animation() -> bytes:
    """A GIF of five thousand frames."""
    first, *rest = [Image.new("P", (32, 32), number % 250) for number in range(5000)]
    return encoded(first, "GIF", save_all=True, append_images=rest)


HOSTILE = {
    "png-bomb.png": (png_bomb, "too_many_pixels"),
    "scan-bomb.jpg": (scan_bomb, "too_many_scans"),
    "animation.gif": (animation, ""),
    "truncated.jpg": (lambda: photo(width=640, height=480)[:-4000], "truncated_image"),
    "truncated.png": (lambda: photo(image_format="PNG")[:-40], "truncated_image"),
    "empty.jpg": (lambda: b"", "empty_image"),
    "text.jpg": (lambda: b"no image", "unsupported_format"),
}


def tar(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return file.getvalue()


def most_memory(server: Server) -> int:
    """The most that a worker ever held, in bytes; the kernel keeps it. 0 where there is no Linux."""
    if sys.platform != "linux":
        return 0
    peaks = []
    for worker in server.workers():
        status = Path(f"/proc/{worker.pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
        peaks.append(int(line.split()[1]) * 1024)
    return max(peaks)


def test_hostile_images_fail_by_their_codes_and_alone(
    tiny_models: Path, tmp_path: Path, index_url: str
) -> None:
    images = {name: make() for name, (make, _) in HOSTILE.items()}
    stream: dict[str, bytes] = {"first.jpg": photo(1)}
    for number, (name, image) in enumerate(images.items()):
        stream |= {name: image, f"good-{number}.jpg": photo(number)}
    expected = {name: HOSTILE[name][1] if name in HOSTILE else "" for name in stream}
    with (
        serving(tiny_models, tmp_path, workers=1, database_url=index_url) as server,
        httpx.Client(base_url=server.url, timeout=60) as client,
    ):
        before = most_memory(server)
        answer = client.post("/v1/batch", content=tar(stream), headers={"content-type": "application/x-tar"})
        *lines, last = map(orjson.loads, answer.content.splitlines())
        assert {line["id"]: line.get("error", {}).get("code", "") for line in lines} == expected
        failures = [code for code in expected.values() if code]
        assert last["summary"]["items"] == len(stream)
        assert last["summary"]["errors"] == len(failures)
        for name, image in images.items():
            code = expected[name]
            refused = client.post("/v1/embeddings", content=image, headers=JPEG)
            assert (refused.status_code == 200) == (code == ""), (name, refused.text)
            assert refused.status_code < 500
            if code:
                assert refused.json()["code"] == code
            # Whoever comes next on the same connection is answered.
            assert client.post("/v1/embeddings", content=photo(), headers=JPEG).status_code == 200
        assert server.is_ready()
        assert "Traceback" not in server.log
        # The pixels of the bomb were never allocated.
        assert most_memory(server) - before < BOMB_BYTES / 2


class Writer:
    """A client that stores one item after the other, whatever happens, and keeps a list."""

    def __init__(self, url: str) -> None:
        self.acknowledged: list[str] = []
        self.refusals: set[tuple[int, str]] = set()
        self._url = url
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> "Writer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _write(self) -> None:
        number = 0
        with httpx.Client(base_url=self._url, timeout=60) as client:
            while not self._ended.is_set():
                put(client, f"item-{number}", self.acknowledged, self.refusals)
                number += 1


def put(client: httpx.Client, name: str, acknowledged: list[str], refusals: set[tuple[int, str]]) -> bool:
    """Store an item; whether that was acknowledged."""
    response = client.put(f"/v1/items/{name}", content=photo(), headers=JPEG)
    if response.status_code == 200:
        acknowledged.append(name)
    else:
        refusals.add((response.status_code, response.json()["code"]))
    return response.status_code == 200


def stored(client: httpx.Client, names: list[str]) -> list[str]:
    return [name for name in names if client.get(f"/v1/items/{name}").status_code == 200]


def postgres_of(server: Server) -> psutil.Process:
    (process,) = (child for child in psutil.Process(server.pid).children() if child.name() == "postgres")
    return process


def test_a_database_that_is_killed_costs_readiness_and_no_acknowledged_item(
    tiny_models: Path, tmp_path: Path
) -> None:
    with (
        serving(tiny_models, tmp_path, workers=1) as server,
        httpx.Client(base_url=server.url, timeout=60) as client,
        Writer(server.url) as writer,
    ):
        wait_for(lambda: len(writer.acknowledged) > 5, server)
        # Out of its place it cannot be started again, as when a disk is gone for a while.
        cluster = tmp_path / "data" / "postgres"
        cluster.rename(cluster.with_name("elsewhere"))
        postgres_of(server).kill()
        wait_for(lambda: client.get("/readyz").json().get("detail") == "The index does not answer.", server)
        # What needs no index is answered.
        assert client.post("/v1/embeddings", content=photo(), headers=JPEG).status_code == 200
        wait_for(lambda: writer.refusals == {(503, "index_unavailable")}, server)
        cluster.with_name("elsewhere").rename(cluster)
        wait_for(server.is_ready, server)
        before = len(writer.acknowledged)
        wait_for(lambda: len(writer.acknowledged) > before + 5, server)
        writer.__exit__()
        assert stored(client, writer.acknowledged) == writer.acknowledged
        assert server.terminate() == 0


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """A file system of its own that holds so much; its path leaves room for the names of sockets."""
    folder = Path(tempfile.mkdtemp(prefix="disk-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        folder.rmdir()
        pytest.skip(f"no file system may be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
        folder.rmdir()


def fill(folder: Path) -> Path:
    """Leave no room; the file that takes it."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return ballast


linux_root = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root on Linux may mount a small file system"
)


@linux_root
def test_a_full_disk_costs_answers_of_the_index_and_no_acknowledged_item(
    tiny_models: Path, tmp_path: Path
) -> None:
    acknowledged: list[str] = []
    refusals: set[tuple[int, str]] = set()
    with (
        small_disk(200) as disk,
        serving(tiny_models, tmp_path / "server", workers=1, data_dir=disk / "data") as server,
        httpx.Client(base_url=server.url, timeout=60) as client,
    ):
        assert put(client, "first", acknowledged, refusals)
        ballast = fill(disk)
        numbers = iter(range(100_000))
        wait_for(
            lambda: not all(put(client, f"item-{next(numbers)}", acknowledged, refusals) for _ in range(200)),
            server,
        )
        assert refusals == {(503, "index_unavailable")}
        # Reads go on, and readiness says what does not.
        assert client.post("/v1/embeddings", content=photo(), headers=JPEG).status_code == 200
        assert client.post("/v1/neighbours", content=photo(), headers=JPEG).status_code == 200
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["index"]) == (200, "read_only")
        ballast.unlink()
        wait_for(lambda: put(client, "last", acknowledged, refusals), server)
        wait_for(lambda: client.get("/readyz").json() == {"status": "ready"}, server)
        assert refusals == {(503, "index_unavailable")}
        assert stored(client, acknowledged) == acknowledged
        assert server.terminate() == 0


@linux_root
def test_a_full_folder_for_temporary_files_refuses_archives_alone(
    tiny_models: Path, tmp_path: Path, index_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    too_large = b"PK" + bytes(64 * 2**20)
    archive = {"content-type": "application/zip"}
    with small_disk(32) as disk:
        monkeypatch.setenv("TMPDIR", str(disk))
        with (
            serving(tiny_models, tmp_path / "server", workers=1, database_url=index_url) as server,
            httpx.Client(base_url=server.url, timeout=60) as client,
        ):
            for _ in range(2):
                refused: Any = client.post("/v1/batch", content=too_large, headers=archive)
                assert (refused.status_code, refused.json()["code"]) == (507, "storage_full")
            assert client.post("/v1/embeddings", content=photo(), headers=JPEG).status_code == 200
            assert httpx.get(f"{server.url}/metrics").status_code == 200
            assert server.is_ready()
