"""Multiply-accumulates of an encoder graph, counted from the sizes that one image makes in it."""

import math
from collections.abc import Iterator

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from training.export.onnx_files import session_of

_COUNTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def multiply_accumulates(encoder: onnx.ModelProto, image: NDArray[np.uint8]) -> int:
    """Count those of convolutions and products of matrices for `image`, uint8 [1, H, W, 3]."""
    sizes = _sizes(encoder, image)
    return sum(_of_node(node, sizes) for node in encoder.graph.node if node.op_type in _COUNTED)


def _of_node(node: onnx.NodeProto, sizes: dict[str, tuple[int, ...]]) -> int:
    first, second, result = sizes[node.input[0]], sizes[node.input[1]], sizes[node.output[0]]
    match node.op_type:
        case "Conv":
            # Kernels are [outputs, inputs of a group, height, width].
            return math.prod(result) * math.prod(second[1:])
        case "ConvTranspose":
            return math.prod(first) * math.prod(second[1:])
        case "Gemm":
            transposed = any(each.name == "transA" and each.i for each in node.attribute)
            return math.prod(result) * first[0 if transposed else 1]
        case _:
            return math.prod(result) * first[-1]


def _sizes(encoder: onnx.ModelProto, image: NDArray[np.uint8]) -> dict[str, tuple[int, ...]]:
    """Find the size of every tensor that a counted node takes or gives."""
    sizes = {each.name: tuple(each.dims) for each in encoder.graph.initializer}
    watched = onnx.ModelProto()
    watched.CopyFrom(encoder)
    del watched.graph.output[:]
    wanted = [name for name in dict.fromkeys(_tensors(encoder.graph)) if name not in sizes]
    # Types are left open, since ONNX Runtime infers them.
    watched.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in wanted)
    if wanted:
        values = session_of(watched).run(wanted, {encoder.graph.input[0].name: image})
        sizes |= {name: value.shape for name, value in zip(wanted, values, strict=True)}
    return sizes


def _tensors(graph: onnx.GraphProto) -> Iterator[str]:
    for node in graph.node:
        if node.op_type in _COUNTED:
            yield from (*node.input[:2], *node.output)
