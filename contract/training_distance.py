"""Distance of an image to the mean of the training images, an output added to an encoder when it is loaded.

An embedding is w / |w| with w = (z - mean) axes. The axes are principal axes of the training images, whose
deviations s became s ** (1 - WHITENING). So |w| is the distance of a layer z to its mean over the training
images. Its root mean square over these is the root of the sum of s ** (2 - 2 WHITENING), and the columns of
`axes` have the lengths s ** -WHITENING. The ratio of both is about 1 for images like those of the training.
It needs nothing that the graph does not hold. The graph itself stays as it was exported.
"""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

# Exponent by which training whitens the axes of an embedding (docs/decisions/021).
WHITENING = 0.7
EMBEDDING, TRAINING_DISTANCE = "embedding", "training_distance"
_PREFIX = "training_distance/"


def with_training_distance(encoder: onnx.ModelProto) -> onnx.ModelProto:
    """Add the output `training_distance`, float32 [N], to an encoder.

    An encoder whose embedding is not made of such axes is returned as it is.
    """
    makers = {name: node for node in encoder.graph.node for name in node.output}
    weights = {tensor.name: tensor for tensor in encoder.graph.initializer}
    product = _product(makers)
    axes = None if product is None else _constant(product.input[1], makers, weights)
    if product is None or axes is None:
        return encoder
    expected = _expected(axes)
    if not expected > 0:
        return encoder
    extended = onnx.ModelProto()
    extended.CopyFrom(encoder)
    graph = extended.graph
    constants = (("columns", np.array([1], np.int64)), ("expected", np.array(expected, np.float32)))
    graph.initializer.extend(numpy_helper.from_array(value, _PREFIX + name) for name, value in constants)
    vector = product.output[0]
    squares, total, length = (_PREFIX + name for name in ("squares", "sum", "length"))
    # Operators that are alike from opset 13 on; ReduceL2 takes its axes as an input from 18 on.
    graph.node.append(helper.make_node("Mul", [vector, vector], [squares]))
    graph.node.append(helper.make_node("ReduceSum", [squares, _PREFIX + "columns"], [total], keepdims=0))
    graph.node.append(helper.make_node("Sqrt", [total], [length]))
    graph.node.append(helper.make_node("Div", [length, _PREFIX + "expected"], [TRAINING_DISTANCE]))
    batch = graph.input[0].type.tensor_type.shape.dim[0]
    graph.output.append(
        helper.make_tensor_value_info(TRAINING_DISTANCE, TensorProto.FLOAT, [batch.dim_param or None])
    )
    return extended


def _product(makers: dict[str, onnx.NodeProto]) -> onnx.NodeProto | None:
    """Find (z - mean) axes before it is scaled to length one."""
    node = makers.get(EMBEDDING)
    while node is not None and node.op_type == "Identity":
        node = makers.get(node.input[0])
    product = makers.get(node.input[0]) if node is not None and node.op_type == "Div" else None
    if product is None or product.op_type != "MatMul":
        return None
    centred = makers.get(product.input[0])
    return product if centred is not None and centred.op_type == "Sub" else None


def _constant(
    name: str, makers: dict[str, onnx.NodeProto], weights: dict[str, TensorProto]
) -> NDArray[np.float32] | None:
    """Compute axes that are kept as they are, or in 16 bits beside their scale; None for anything else."""
    if name in weights:
        return numpy_helper.to_array(weights[name]).astype(np.float32)
    node = makers.get(name)
    if node is None or node.op_type not in ("Cast", "Mul"):
        return None
    factors = [_constant(one, makers, weights) for one in node.input]
    product = np.ones((), np.float32)
    for factor in factors:
        if factor is None:
            return None
        product = np.multiply(product, factor)
    return product


def _expected(axes: NDArray[np.float32]) -> float:
    """Compute the root mean square of |w| over the training images from the axes [D, units]."""
    lengths = np.linalg.norm(axes.astype(np.float64), axis=0)
    # Axes that few images did not suffice for are 0.
    deviations = lengths[lengths > 0] ** (-1 / WHITENING)
    return float(np.sqrt((deviations ** (2 - 2 * WHITENING)).sum()))
