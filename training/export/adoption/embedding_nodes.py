"""The way from a trunk's vector to code and embedding, as nodes behind its graph."""

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from training.export.adoption.trunk import FEATURES, VECTOR
from training.model.encoders.embedding import EmbeddingHead

_BATCH = 512
_PREFIX = "infomax."


def fit_axes(vectors: NDArray[np.float32], units: int) -> EmbeddingHead:
    """Fit the principal axes, whitened in part, of vectors [N, D]."""
    head = EmbeddingHead(vectors.shape[1], units)
    head.fit(torch.from_numpy(vectors).split(_BATCH))
    return head


def with_embedding(trunk: onnx.ModelProto, head: EmbeddingHead) -> onnx.ModelProto:
    """Add `code`, the vector on the fitted axes, and `embedding`, the code at length one.

    Args:
        trunk: graph with the outputs features and fc.
        head: fitted to fc.

    Returns:
        A graph with the outputs embedding, code, features and fc.
    """
    model = onnx.ModelProto()
    model.CopyFrom(trunk)
    graph = model.graph
    constants = {
        "centre": head.centre.numpy(),
        "axes": head.projection.numpy(),
        "last_axis": np.array([1], np.int64),
        # As torch.nn.functional.normalize has it.
        "least_length": np.array(1e-12, np.float32),
    }
    graph.initializer.extend(
        numpy_helper.from_array(value, _PREFIX + name) for name, value in constants.items()
    )
    # ReduceSum keeps the axis that it sums over, where it is not told otherwise.
    for operator, inputs, output in (
        ("Sub", (VECTOR, _PREFIX + "centre"), _PREFIX + "centred"),
        ("MatMul", (_PREFIX + "centred", _PREFIX + "axes"), "code"),
        ("Mul", ("code", "code"), _PREFIX + "squares"),
        ("ReduceSum", (_PREFIX + "squares", _PREFIX + "last_axis"), _PREFIX + "sum"),
        ("Sqrt", (_PREFIX + "sum",), _PREFIX + "length"),
        ("Max", (_PREFIX + "length", _PREFIX + "least_length"), _PREFIX + "divisor"),
        ("Div", ("code", _PREFIX + "divisor"), "embedding"),
    ):
        graph.node.append(helper.make_node(operator, inputs, (output,), name=output))
    kept = {value.name: value for value in graph.output}
    batch = kept[VECTOR].type.tensor_type.shape.dim[0].dim_param or "batch"
    added = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, head.units])
        for name in ("embedding", "code")
    ]
    outputs = [*added, kept[FEATURES], kept[VECTOR]]
    del graph.output[:]
    graph.output.extend(outputs)
    onnx.checker.check_model(model)
    return model
