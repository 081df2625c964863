"""This service with its embedded index, through REST, with its defaults."""

from pathlib import Path
from time import perf_counter, sleep

import httpx
import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from bench.neighbours.engine import FIELDS, BuildTimes, Labels
from tests.end_to_end.server import Server

# Vectors of one request.
_CHUNK = 50_000
_BATCH_ROWS = 4096
_ARROW = {"content-type": "application/vnd.apache.arrow.stream"}
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
        rows = range(start, start + len(vectors))
        table = pa.table(
            {
                "id": [f"{row}" for row in rows],
                "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1]),
                "metadata": pa.StructArray.from_arrays(labels[start : rows.stop].T, names=list(FIELDS)),
            }
        )
        body = pa.BufferOutputStream()
        with pa.ipc.new_stream(body, table.schema) as stream:
            stream.write_table(table, max_chunksize=_BATCH_ROWS)
        answer = self._http.post("/v1/items", content=body.getvalue().to_pybytes(), headers=_ARROW)
        summary = orjson.loads(answer.content.splitlines()[-1])["summary"]
        assert summary["ok"] == len(vectors), summary
