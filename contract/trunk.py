"""Parts of a model's graphs that are run alone, cut out of the graph that holds them."""

import onnx
from onnx.utils import Extractor

FEATURES, CODE, GLOBAL = "features", "code", "global"


def trunk_of(encoder: onnx.ModelProto) -> onnx.ModelProto | None:
    """Cut f out of an encoder E = f o C: `features` float32 [N, C, M, M] in, `code` float32 [N, Y] out.

    The result is None where the code needs more of the image than its features.
    """
    return _cut(encoder, FEATURES, CODE)


def projection_of(critic: onnx.ModelProto) -> onnx.ModelProto | None:
    """Cut the projection of codes out of a critic: `code` float32 [N, Y] in, `global` float32 [N, U] out.

    The result is None where it needs more than the code.
    """
    return _cut(critic, CODE, GLOBAL)


def _cut(model: onnx.ModelProto, source: str, target: str) -> onnx.ModelProto | None:
    answered = {value.name for value in model.graph.output}
    if target not in answered or not _follows(model.graph, source, target):
        return None
    part = Extractor(model).extract_model([source], [target])
    onnx.checker.check_model(part)
    return part


def _follows(graph: onnx.GraphProto, source: str, target: str) -> bool:
    """Tell whether the source leads to the target, and no other input of the graph does."""
    makers = {name: node for node in graph.node for name in node.output}
    inputs = {value.name for value in graph.input} - {source}
    waiting, seen = [target], {target}
    while waiting:
        name = waiting.pop()
        if name == source:
            continue
        if name in inputs:
            return False
        needed = set(makers[name].input) - seen if name in makers else set()
        seen |= needed
        waiting += needed
    return source in seen
