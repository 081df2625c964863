"""Shared part of the peers: this project's decoder and one ONNX Runtime session per process."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from contract.card import CARD_FILE, ModelCard
from contract.images import decode


class Embedder:
    """Embedder of encoded images on one thread: two processes fill two cores.

    The model's folder and the encoder's file name come from `BENCH_MODEL` and `BENCH_ENCODER`.
    """

    def __init__(self) -> None:
        folder = Path(os.environ["BENCH_MODEL"])
        card = ModelCard.model_validate_json((folder / CARD_FILE).read_text())
        self._rule = card.preprocessing
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.set_denormal_as_zero", "1")
        self._session = ort.InferenceSession(
            str(folder / os.environ["BENCH_ENCODER"]), options, providers=["CPUExecutionProvider"]
        )

    def decode(self, file: bytes) -> NDArray[np.uint8]:
        """Decode one image: uint8 [H, W, 3]."""
        return decode(file, self._rule).pixels

    def infer(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed images [N, H, W, 3]: float32 [N, D]."""
        embeddings: NDArray[np.float32] = self._session.run(["embedding"], {"image": images})[0]
        return embeddings

    def embed(self, files: Sequence[bytes]) -> NDArray[np.float32]:
        """Embed N encoded images: float32 [N, D]."""
        return self.infer(np.stack([self.decode(file) for file in files]))


def processes() -> int:
    """Count the processes that infer, one for each core."""
    return int(os.environ["BENCH_PROCESSES"])
