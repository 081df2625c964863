"""Embeddings as JSON in the shape that OpenAI's clients read."""

import base64
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from service.outputs.json import dump

VectorEncoding = Literal["float", "base64"]
_NO_TOKENS = {"prompt_tokens": 0, "total_tokens": 0}


def openai_list(embeddings: NDArray[np.float32], model: str, encoding: VectorEncoding) -> bytes:
    """Write the JSON of a list of embeddings.

    Args:
        embeddings: float32 [N, D].
        model: `name/version`.
        encoding: `float` writes numbers, `base64` the little-endian float32 bytes of each row.
    """
    rows = [base64_floats(row) for row in embeddings] if encoding == "base64" else embeddings
    data = [{"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(rows)]
    return dump({"object": "list", "data": data, "model": model, "usage": _NO_TOKENS})


def base64_floats(vector: NDArray[np.float32]) -> str:
    """Encode a vector as base64 of its little-endian float32 bytes."""
    return base64.b64encode(vector.astype("<f4", copy=False).tobytes()).decode("ascii")


def shorten(embeddings: NDArray[np.float32], dimensions: int) -> NDArray[np.float32]:
    """Return the first `dimensions` of each row, scaled to length one again: float32 [N, dimensions].

    A row of zeros stays one.
    """
    if dimensions == embeddings.shape[1]:
        return embeddings
    short = embeddings[:, :dimensions]
    lengths = np.linalg.norm(short, axis=1, keepdims=True)
    return (short / np.where(lengths > 0, lengths, 1)).astype(np.float32, copy=False)
