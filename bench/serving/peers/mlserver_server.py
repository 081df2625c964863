"""MLServer: a runtime of one's own in its process pool, adaptive batching, the V2 protocol's JSON."""

import base64
import json
import os
from pathlib import Path

import numpy as np
from mlserver import MLModel
from mlserver.cli.main import root
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

from bench.serving.peers.embedder import Embedder, processes

_MAX_BATCH = 64
_BATCH_SECONDS = 0.005


class Encoder(MLModel):  # type: ignore[misc]
    """Images as base64 in, embeddings as numbers out."""

    async def load(self) -> bool:
        self._embedder = Embedder()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        images = [base64.b64decode(image) for image in payload.inputs[0].data]
        output = NumpyCodec.encode_output("embedding", np.asarray(self._embedder.embed(images)))
        return InferenceResponse(model_name=self.name, outputs=[output])


def _write_settings(folder: Path) -> None:
    port = int(os.environ["BENCH_PORT"])
    server = {
        "host": "127.0.0.1",
        "http_port": port,
        "grpc_port": port + 1,
        "metrics_port": port + 2,
        "parallel_workers": processes(),
        "debug": False,
        "gzip_enabled": False,
    }
    model = {
        "name": "encoder",
        "implementation": "bench.serving.peers.mlserver_server.Encoder",
        "max_batch_size": _MAX_BATCH,
        "max_batch_time": _BATCH_SECONDS,
    }
    (folder / "settings.json").write_text(json.dumps(server))
    (folder / "model-settings.json").write_text(json.dumps(model))


if __name__ == "__main__":
    _write_settings(Path.cwd())
    root(["start", "."])
