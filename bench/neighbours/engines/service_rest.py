"""This service with its embedded index, through REST, with its defaults."""

from pathlib import Path
from time import perf_counter, sleep

import httpx
import numpy as np
import orjson
from numpy.typing import NDArray

from bench.neighbours.engine import FIELDS, BuildTimes, Labels
from tests.end_to_end.server import Server

_CHUNK = 10_000
_NDJSON = {"content-type": "application/x-ndjson"}
_MODELS = Path("models")
_MODEL = "cifar10"
# A space of fewer items has no graph by default.
_LEAST_FOR_GRAPH = 50_000
_POLL_SECONDS = 1.0
_HOURS = 3 * 3600.0


class Service:
    """`infomax serve` over the newest `cifar10`, whose index is filled with the vectors alone."""

    filters = True

    def __init__(self, folder: Path, dimensions: int) -> None:
        self._folder = folder
        self._dimensions = dimensions

    def build(self, vectors: NDArray[np.float32], labels: Labels) -> BuildTimes:
        exact_items = min(_LEAST_FOR_GRAPH, len(vectors) // 2)
        self._server = Server(_MODELS.absolute(), self._folder, model=_MODEL, index_exact_items=exact_items)
        self._server.wait_until_ready()
        self._http = httpx.Client(base_url=self._server.url, timeout=600)
        expected = self._http.get("/v1/index").json()["dimensions"]
        if expected != self._dimensions:
            raise SystemExit(f"{_MODEL} has {expected} dimensions, the vectors have {self._dimensions}.")
        started = perf_counter()
        for start in range(0, len(vectors), _CHUNK):
            self._store(start, vectors[start : start + _CHUNK], labels)
        loaded = perf_counter()
        while self._space()["search"] != "hnsw":
            if perf_counter() - loaded > _HOURS:
                raise SystemExit(f"There is no graph after {_HOURS / 3600:.0f} hours.")
            sleep(_POLL_SECONDS)
        return BuildTimes(loaded - started, perf_counter() - loaded)

    def search(self, vector: NDArray[np.float32], k: int, field: str | None, value: int) -> list[int]:
        body: dict[str, object] = {"vector": vector, "k": k}
        if field is not None:
            body["filter"] = {field: value}
        content = orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
        answer = self._http.post(
            "/v1/neighbours", content=content, headers={"content-type": "application/json"}
        )
        answer.raise_for_status()
        return [int(hit["id"]) for hit in answer.json()["neighbours"]]

    def close(self) -> None:
        self._http.close()
        self._server.terminate()

    def _space(self) -> dict[str, object]:
        (space,) = self._http.get("/v1/index").json()["spaces"]
        return dict(space)

    def _store(self, start: int, vectors: NDArray[np.float32], labels: Labels) -> None:
        lines = [
            orjson.dumps(
                {
                    "id": f"{start + row}",
                    "vector": vector,
                    "metadata": dict(zip(FIELDS, labels[start + row].tolist(), strict=True)),
                },
                option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE,
            )
            for row, vector in enumerate(np.asarray(vectors))
        ]
        answer = self._http.post("/v1/items", content=b"".join(lines), headers=_NDJSON)
        summary = orjson.loads(answer.content.splitlines()[-1])["summary"]
        assert summary["ok"] == len(vectors), summary
