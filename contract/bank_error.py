"""Standard error of a map's patches, as an output that is added to any critic graph when it is loaded.

A patch's normaliser is the logarithm of a mean over the K codes of the bank. By the delta method its standard
error is

    sqrt( (mean_j exp 2 T_j / (mean_j exp T_j)^2 - 1) / K )      T_j = T(C_i, E_j)

The first mean is the normaliser of doubled projections, because T is a dot product. So the part of the graph
behind the projections is computed a second time, of 2 `local`. The graph itself stays as it was exported. An
offset that its normalisers have is a constant, and no part of the error.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.utils import Extractor

LOCAL, NORMALISER, STANDARD_ERROR = "local", "local_log_normaliser", "local_standard_error"
_PREFIX = "doubled/"


def with_standard_error(critic: onnx.ModelProto, bank: int, offset: float = 0.0) -> onnx.ModelProto:
    """Add the output `local_standard_error`, float32 [N, M, M] in nats, to a critic.

    Args:
        critic: any; one without normalisers, or with the output already, is returned as it is.
        bank: number of codes K behind its normalisers.
        offset: added to its normalisers, in nats.
    """
    outputs = {value.name: value for value in critic.graph.output}
    if NORMALISER not in outputs or STANDARD_ERROR in outputs:
        return critic
    extended = onnx.ModelProto()
    extended.CopyFrom(critic)
    graph = extended.graph
    behind = Extractor(critic).extract_model([LOCAL], [NORMALISER]).graph
    made = {name for node in behind.node for name in node.output} | {LOCAL}
    graph.node.append(helper.make_node("Mul", [LOCAL, _PREFIX + "two"], [_PREFIX + LOCAL]))
    for node in behind.node:
        copy = graph.node.add()
        copy.CopyFrom(node)
        # Names are free to be empty, but not to be shared.
        copy.name = f"{_PREFIX}{node.name}" if node.name else ""
        for names in (copy.input, copy.output):
            names[:] = [_PREFIX + name if name in made else name for name in names]
    constants = {"two": 2.0, "one": 1.0, "zero": 0.0, "bank": float(bank), "offset": offset}
    for name, number in constants.items():
        graph.initializer.append(numpy_helper.from_array(np.array(number, np.float32), _PREFIX + name))
    steps = (
        ("Mul", (NORMALISER, _PREFIX + "two"), "squared_mean"),
        ("Sub", (_PREFIX + NORMALISER, _PREFIX + "squared_mean"), "log_ratio"),
        ("Add", (_PREFIX + "log_ratio", _PREFIX + "offset"), "log_ratio_of_means"),
        ("Exp", (_PREFIX + "log_ratio_of_means",), "ratio"),
        ("Sub", (_PREFIX + "ratio", _PREFIX + "one"), "signed_variance"),
        ("Max", (_PREFIX + "signed_variance", _PREFIX + "zero"), "variance"),
        ("Div", (_PREFIX + "variance", _PREFIX + "bank"), "mean_variance"),
    )
    graph.node.extend(helper.make_node(kind, list(used), [_PREFIX + name]) for kind, used, name in steps)
    graph.node.append(helper.make_node("Sqrt", [_PREFIX + "mean_variance"], [STANDARD_ERROR]))
    shape = [dim.dim_param or dim.dim_value for dim in outputs[NORMALISER].type.tensor_type.shape.dim]
    graph.output.append(helper.make_tensor_value_info(STANDARD_ERROR, TensorProto.FLOAT, shape))
    return extended
