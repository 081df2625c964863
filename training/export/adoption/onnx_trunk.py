"""An ONNX file as a trunk: two of its tensors, with normalisation before and pooling behind them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from training.errors import ExportError
from training.export.adoption.map_geometry import measured_grid
from training.export.adoption.onnx_file import CutGraph, read_cut
from training.export.adoption.statistics import Statistics
from training.export.adoption.trunk import FEATURES, VECTOR, Trunk, check_sound
from training.export.onnx_files import session_of

_PREFIX = "infomax."
_EXAMPLES = 8


@dataclass(frozen=True)
class OnnxSource:
    """A graph by its file.

    Attributes:
        path: of the file.
        features: tensor that is the map of patches [B, C, M, M].
        vector: tensor that is the vector [B, D], or a map that is pooled to it; None pools the features.
    """

    path: Path
    features: str
    vector: str | None = None


def onnx_trunk(source: OnnxSource, statistics: Statistics, size: int) -> Trunk:
    """Cut the graph to what leads to its two tensors, and put normalisation and pooling around it.

    Args:
        source: of the graph.
        statistics: of channels that its weights expect; an input on the scale 0..255 has the mean 0 and the
            deviation 1 / 255.
        size: height and width of its input in pixels.

    Raises:
        ExportError: the file cannot be read or run, or a tensor does not exist or does not fit.
    """
    vector = source.vector or source.features
    cut = read_cut(source.path, list(dict.fromkeys([source.features, vector])), size)
    _check_shapes(cut.shapes[source.features], cut.shapes[vector], source)
    model = _surrounded(cut, source.features, vector, statistics, size)
    check_sound(model, np.random.default_rng(0).integers(0, 256, (_EXAMPLES, size, size, 3), dtype=np.uint8))
    session = session_of(model)

    def features(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        values: NDArray[np.float32] = session.run([FEATURES], {"image": image})[0]
        return values

    return Trunk(
        model=model,
        patch_grid=measured_grid(features, size),
        encoder=source.path.stem,
        record={
            "onnx": source.path.name,
            "features": source.features,
            "vector": vector,
            "mean": statistics.mean,
            "std": statistics.std,
        },
    )


def _check_shapes(features: tuple[int, ...], vector: tuple[int, ...], source: OnnxSource) -> None:
    """Refuse tensors for two images that are not a map and a vector.

    Raises:
        ExportError: naming the tensor.
    """
    if len(features) != 4 or features[2] != features[3] or features[0] != 2:
        raise ExportError(
            f"The tensor {source.features!r} of two images is {list(features)}, and a map [2, C, M, M] is "
            "needed. Name one before the pooling."
        )
    if len(vector) not in (2, 4) or vector[0] != 2:
        raise ExportError(
            f"The tensor {source.vector!r} of two images is {list(vector)}, and a vector [2, D] or a map "
            "[2, C, M, M] is needed. Name another one."
        )


def _surrounded(
    cut: CutGraph, features: str, vector: str, statistics: Statistics, size: int
) -> onnx.ModelProto:
    """Put normalisation of uint8 `image` before a graph, and `features` and `fc` behind it."""
    constants = {
        "mean": 255 * np.array(statistics.mean, np.float32),
        "std": 255 * np.array(statistics.std, np.float32),
    }
    scaled = cut.image if cut.channels_last else _PREFIX + "scaled"
    before = [
        helper.make_node("Cast", ["image"], [_PREFIX + "pixels"], to=TensorProto.FLOAT),
        helper.make_node("Sub", [_PREFIX + "pixels", _PREFIX + "mean"], [_PREFIX + "shifted"]),
        helper.make_node("Div", [_PREFIX + "shifted", _PREFIX + "std"], [scaled]),
    ]
    if not cut.channels_last:
        before.append(helper.make_node("Transpose", [scaled], [cut.image], perm=[0, 3, 1, 2]))
    behind = [helper.make_node("Identity", [cut.name(features)], [FEATURES])]
    if len(cut.shapes[vector]) == 4:
        behind.append(helper.make_node("GlobalAveragePool", [cut.name(vector)], [_PREFIX + "pooled"]))
        behind.append(helper.make_node("Flatten", [_PREFIX + "pooled"], [VECTOR], axis=1))
    else:
        behind.append(helper.make_node("Identity", [cut.name(vector)], [VECTOR]))
    model = onnx.ModelProto()
    model.CopyFrom(cut.model)
    graph = model.graph
    nodes = [*before, *graph.node, *behind]
    for field in (graph.node, graph.input, graph.output, model.metadata_props):
        del field[:]
    graph.node.extend(nodes)
    graph.initializer.extend(numpy_helper.from_array(each, _PREFIX + key) for key, each in constants.items())
    graph.input.append(helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", size, size, 3]))
    for name, shape in ((FEATURES, cut.shapes[features][1:]), (VECTOR, cut.shapes[vector][1:2])):
        graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape]))
    model.producer_name = "infomax"
    onnx.checker.check_model(model)
    return model
