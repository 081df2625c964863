"""mosec: a Rust front end before processes that decode and infer, one for each core: its best layout."""

from typing import Any

import orjson
from mosec import Server, Worker

from bench.serving.peers.embedder import Embedder, processes

_MAX_BATCH = 64
# Milliseconds, the least that it takes: a longer wait only adds latency while the processes are busy.
_MAX_WAIT = 1


class Encoder(Worker):  # type: ignore[misc]
    """Raw image bytes in, JSON out."""

    resp_mime_type = "application/json"

    def __init__(self) -> None:
        super().__init__()
        self._embedder = Embedder()

    def deserialize(self, data: bytes) -> bytes:
        return data

    def forward(self, data: list[bytes]) -> list[Any]:
        return list(self._embedder.embed(data))

    def serialize(self, data: Any) -> bytes:
        return orjson.dumps({"embedding": data}, option=orjson.OPT_SERIALIZE_NUMPY)


if __name__ == "__main__":
    server = Server()
    server.append_worker(Encoder, num=processes(), max_batch_size=_MAX_BATCH, max_wait_time=_MAX_WAIT)
    server.run()
