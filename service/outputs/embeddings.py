"""Embeddings in the shape that OpenAI's clients read."""

import base64
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from service.outputs.json import dump

Encoding = Literal["float", "base64"]
_NO_TOKENS = {"prompt_tokens": 0, "total_tokens": 0}


def openai_list(embeddings: NDArray[np.float32], model: str, encoding: Encoding) -> bytes:
    """The JSON of an embedding list.

    Args:
        embeddings: float32 [N, D].
        model: `name/version`.
        encoding: `float` writes numbers, `base64` the little-endian float32 bytes of each row.
    """
    rows = [base64_floats(row) for row in embeddings] if encoding == "base64" else embeddings
    data = [{"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(rows)]
    return dump({"object": "list", "data": data, "model": model, "usage": _NO_TOKENS})


def base64_floats(vector: NDArray[np.float32]) -> str:
    """Base64 of little-endian float32."""
    return base64.b64encode(vector.astype("<f4", copy=False).tobytes()).decode("ascii")


def shorten(embeddings: NDArray[np.float32], dimensions: int) -> NDArray[np.float32]:
    """The first `dimensions` of each row, scaled to length one again: float32 [N, dimensions].

    A row that is zero there stays zero.
    """
    if dimensions == embeddings.shape[1]:
        return embeddings
    short = embeddings[:, :dimensions]
    lengths = np.linalg.norm(short, axis=1, keepdims=True)
    return (short / np.where(lengths > 0, lengths, 1)).astype(np.float32, copy=False)
