"""Search by region of a running service: recall of planted parts, their places, size and latency.

python -m bench.regions --images FILE --items 2000
"""

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from itertools import islice
from pathlib import Path
from statistics import median
from tarfile import TarFile, TarInfo
from time import perf_counter, sleep
from typing import Annotated, Any

import httpx
import orjson
import typer

from bench.regions.planted import Planted, Query, overlap, square
from service.corpus.sources import Sources
from tests.end_to_end.server import Server

ROOT = Path(__file__).parents[2]
_MODELS = ROOT / "models"
_COMMAND = (str(Path(sys.executable).parent / "infomax"), "serve")
_CHUNK = 200
_MOST_BYTES = 64 * 2**20
_SIDE = 320
_K = 10
# The graph is built, and a comparison of all is measured beside it.
_EXACT_CELLS = 1000
_POLL_SECONDS = 1.0
_TAR = {"content-type": "application/x-tar"}


@dataclass
class Measured:
    """Answers to the queries in one way."""

    ranks: list[int] = field(default_factory=list)
    overlaps: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    search_seconds: list[float] = field(default_factory=list)
    found: list[set[str]] = field(default_factory=list)

    def row(self, name: str, exact: "Measured | None") -> str:
        """Write a row of the table; `exact` has the true hits."""
        first = 100 * sum(rank == 0 for rank in self.ranks) / len(self.ranks)
        among = 100 * sum(rank < _K for rank in self.ranks) / len(self.ranks)
        place = f"{sum(self.overlaps) / len(self.overlaps):.2f}" if self.overlaps else ""
        agreed = ""
        if exact is not None:
            pairs = zip(self.found, exact.found, strict=True)
            agreed = f"{sum(len(one & true) for one, true in pairs) / sum(map(len, exact.found)):.3f}"
        return (
            f"| {name} | {first:.0f} · {among:.0f} % | {place} | {agreed} | "
            f"{1000 * median(self.seconds):.0f} ms | {1000 * median(self.search_seconds):.0f} ms |"
        )


def main(
    images: Annotated[list[str], typer.Option(help="Photographs: folders, Parquet files, archives.")],
    items: Annotated[int, typer.Option(min=100)] = 2000,
    queries: Annotated[int, typer.Option(min=10)] = 100,
    model: Annotated[str, typer.Option(help="A shipped model.")] = "photos",
    scale: Annotated[float, typer.Option(help="Size of a part in the query, by that in the item.")] = 1.0,
    folder: Annotated[Path | None, typer.Option(help="For the indexes; default: TMPDIR.")] = None,
) -> None:
    """Store items with and without cells, search, and print a table."""
    photographs = [square(data, _SIDE) for data in _read(images, items + 3 * queries)]
    planted = Planted(photographs, items, queries, scale)
    asked = [*planted.queries()]
    with tempfile.TemporaryDirectory(prefix="infomax-bench-regions-", dir=folder) as place:
        # The embedded PostgreSQL of a root user runs as another one.
        Path(place).chmod(0o755)
        plain = islice(planted.items(), min(items, 4 * _CHUNK))
        with _served(Path(place) / "plain", model) as http:
            without = _store(http, plain)
        with _served(
            Path(place) / "regions", model, index_regions=True, index_exact_items=_EXACT_CELLS
        ) as http:
            kept = _store(http, planted.items())
            before = perf_counter()
            while (space := _space(http))["cell_search"] != "hnsw":
                sleep(_POLL_SECONDS)
            built = perf_counter() - before
            ways = {
                "whole vector of the region cut out": [_by_crop(http, one) for one in asked],
                **{
                    f"region, `recall={recall}`": [_by_region(http, one, recall) for one in asked]
                    for recall in ("exact", "high", "fast")
                },
            }
            measured = {name: _measure(asked, answers) for name, answers in ways.items()}
    print(f"{items:,} items, {queries} queries, scale {scale:g}, {os.cpu_count()} cores, {model}")
    print(
        f"stored {kept:.1f} items/s with cells, {without:.1f} without; {space['cells'] // items} cells and "
        f"{space['cell_bytes'] / items / 1000:.1f} KB an item beside {space['bytes'] / items / 1000:.1f} KB; "
        f"graph after {built:.0f} s"
    )
    print("| search | first · among 10 | overlap of place | of the exact ten | request p50 | search p50 |")
    print("| --- | --- | --- | --- | --- | --- |")
    exact = measured["region, `recall=exact`"]
    for name, one in measured.items():
        print(one.row(name, exact if name.startswith("region") else None))


@contextmanager
def _served(folder: Path, model: str, **settings: object) -> Iterator[httpx.Client]:
    chosen = {"models_dir": _MODELS, "model": model, "device": "cpu", "port": 0, "data_dir": folder / "data"}
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    environment |= {f"INFOMAX_{name.upper()}": str(value) for name, value in {**chosen, **settings}.items()}
    server = Server.of(_COMMAND, folder, ROOT, environment)
    try:
        server.wait_until_ready()
        with httpx.Client(base_url=server.url, timeout=600) as http:
            yield http
    finally:
        server.clean_up()


def _read(sources: Sequence[str], most: int) -> Iterator[bytes]:
    for image in islice(Sources.of(sources, lambda _path: True).images(), most):
        data = image.read(_MOST_BYTES)
        if isinstance(data, bytes):
            yield data


def _store(http: httpx.Client, items: Iterator[bytes]) -> float:
    """Store items under their numbers; items a second."""
    stored, started = 0, perf_counter()
    while chunk := list(islice(items, _CHUNK)):
        body = BytesIO()
        with TarFile(fileobj=body, mode="w") as archive:
            for number, data in enumerate(chunk, stored):
                member = TarInfo(f"{number}")
                member.size = len(data)
                archive.addfile(member, BytesIO(data))
        answer = http.post("/v1/items", content=body.getvalue(), headers=_TAR)
        summary = orjson.loads(answer.content.splitlines()[-1])["summary"]
        assert summary["ok"] == len(chunk), summary
        stored += len(chunk)
    return stored / (perf_counter() - started)


def _space(http: httpx.Client) -> dict[str, Any]:
    (space,) = http.get("/v1/index").json()["spaces"]
    return dict(space)


Answer = tuple[list[dict[str, Any]], float, float]


def _by_region(http: httpx.Client, query: Query, recall: str) -> Answer:
    region = orjson.dumps(query.region).decode()
    return _search(http, query.picture, {"region": region, "recall": recall})


def _by_crop(http: httpx.Client, query: Query) -> Answer:
    return _search(http, query.crop, {})


def _search(http: httpx.Client, picture: bytes, parameters: dict[str, str]) -> Answer:
    """Return the hits, the seconds of the request, and those of the search alone."""
    started = perf_counter()
    answer = http.post("/v1/neighbours", content=picture, params={"k": str(_K), **parameters})
    taken = perf_counter() - started
    answer.raise_for_status()
    stages = dict(one.split(";dur=") for one in answer.headers["Server-Timing"].split(", "))
    return answer.json()["neighbours"], taken, float(stages["search"]) / 1000


def _measure(queries: Sequence[Query], answers: Sequence[Answer]) -> Measured:
    measured = Measured()
    for query, (hits, taken, searched) in zip(queries, answers, strict=True):
        ids = [hit["id"] for hit in hits]
        name = str(query.item)
        measured.ranks.append(ids.index(name) if name in ids else _K)
        measured.seconds.append(taken)
        measured.search_seconds.append(searched)
        measured.found.append(set(ids))
        if name in ids and "region" in hits[ids.index(name)]:
            measured.overlaps.append(overlap(hits[ids.index(name)]["region"], query.place))
    return measured


if __name__ == "__main__":
    typer.run(main)
