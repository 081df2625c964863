"""One way to send a folder of images, as a process: `python -m bench.client.sender WAY URL FOLDER`.

The last line is `RESULT` with the images that were answered with an embedding, and the seconds and core
seconds between the first file and the last answer, without the start of Python.
"""

import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter, process_time

from infomax.client import AsyncClient, Client


def by_threads(url: str, paths: list[Path]) -> int:
    with Client(url) as client:
        return sum(one.ok for one in client.batch(paths))


def by_asyncio(url: str, paths: list[Path]) -> int:
    async def run() -> int:
        async with AsyncClient(url) as client:
            return sum([one.ok async for one in client.batch(paths)])

    return asyncio.run(run())


WAYS: Mapping[str, Callable[[str, list[Path]], int]] = {"Client": by_threads, "AsyncClient": by_asyncio}


def _main() -> None:
    way, url, folder = sys.argv[1:]
    paths = sorted(Path(folder).iterdir())
    started, used = perf_counter(), process_time()
    images = WAYS[way](url, paths)
    found = {"images": images, "seconds": perf_counter() - started, "cpu_seconds": process_time() - used}
    sys.stdout.write(f"RESULT {json.dumps(found)}\n")


if __name__ == "__main__":
    _main()
