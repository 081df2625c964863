"""Answers of the Open Inference Protocol V2: JSON, with tensors in it or as bytes behind it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from starlette.responses import Response

from contract.card import ModelCard
from service.inputs.v2 import HEADER
from service.outputs.json import dump

DATATYPE = "FP32"


@dataclass(frozen=True, slots=True)
class OutputTensor:
    """Named output of float32.

    Attributes:
        name: name of the output.
        values: float32 [N, ...].
        binary: whether it is written as bytes behind the JSON.
    """

    name: str
    values: NDArray[np.float32]
    binary: bool


def answer(
    card: ModelCard, tensors: Sequence[OutputTensor], request_id: str | None, headers: dict[str, str]
) -> Response:
    """Make the answer of a model; JSON has the shortest digits that give the same float32 again."""
    outputs, blobs = [], []
    for tensor in tensors:
        output: dict[str, object] = {
            "name": tensor.name,
            "datatype": DATATYPE,
            "shape": list(tensor.values.shape),
        }
        if tensor.binary:
            blobs.append(tensor.values.astype("<f4", copy=False).tobytes())
            output["parameters"] = {"binary_data_size": len(blobs[-1])}
        else:
            output["data"] = tensor.values.ravel()
        outputs.append(output)
    named = {} if request_id is None else {"id": request_id}
    head = dump({"model_name": card.name, "model_version": str(card.version), **named, "outputs": outputs})
    if not blobs:
        return Response(head, headers=headers, media_type="application/json")
    headers = {**headers, HEADER: str(len(head))}
    return Response(b"".join([head, *blobs]), headers=headers, media_type="application/octet-stream")
