"""LitServe: FastAPI before processes that decode and infer; its ZeroMQ queue, batches, no request log."""

import os
from typing import Annotated, Any

import litserve as ls
import numpy as np
import orjson
from fastapi import Body, Response
from numpy.typing import NDArray

from bench.serving.peers.embedder import Embedder, processes

_MAX_BATCH = 64
_BATCH_SECONDS = 0.002


class Encoder(ls.LitAPI):  # type: ignore[misc]
    """Raw image bytes in, JSON out."""

    def setup(self, device: str) -> None:  # noqa: ARG002 (the name is LitServe's)
        self._embedder = Embedder()

    def decode_request(self, request: Annotated[bytes, Body()]) -> NDArray[np.uint8]:
        return self._embedder.decode(request)

    def batch(self, inputs: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
        return np.stack(inputs)

    def predict(self, x: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self._embedder.infer(x)

    def unbatch(self, output: NDArray[np.float32]) -> list[Any]:
        return list(output)

    def encode_response(self, output: Any) -> Response:
        content = orjson.dumps({"embedding": output}, option=orjson.OPT_SERIALIZE_NUMPY)
        return Response(content, media_type="application/json")


if __name__ == "__main__":
    server = ls.LitServer(
        Encoder(max_batch_size=_MAX_BATCH, batch_timeout=_BATCH_SECONDS),
        accelerator="cpu",
        workers_per_device=processes(),
        fast_queue=True,
    )
    server.run(
        host="127.0.0.1",
        port=int(os.environ["BENCH_PORT"]),
        num_api_servers=1,
        log_level="warning",
        generate_client_file=False,
    )
