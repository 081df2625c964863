"""Global trunk f of an encoder E = f o C, from features to code, cut out of the encoder's graph."""

import onnx
from onnx.utils import Extractor

FEATURES, CODE = "features", "code"


def trunk_of(encoder: onnx.ModelProto) -> onnx.ModelProto | None:
    """Cut f out of an encoder: `features` float32 [N, C, M, M] in, `code` float32 [N, Y] out.

    The result is None where the code needs more of the image than its features.
    """
    if not _follows(encoder.graph):
        return None
    trunk = Extractor(encoder).extract_model([FEATURES], [CODE])
    onnx.checker.check_model(trunk)
    return trunk


def _follows(graph: onnx.GraphProto) -> bool:
    """Tell whether the features lead to the code, and no input of the graph does without them."""
    makers = {name: node for node in graph.node for name in node.output}
    inputs = {value.name for value in graph.input}
    waiting, seen = [CODE], {CODE}
    while waiting:
        name = waiting.pop()
        if name == FEATURES:
            continue
        if name in inputs:
            return False
        needed = set(makers[name].input) - seen if name in makers else set()
        seen |= needed
        waiting += needed
    return FEATURES in seen
