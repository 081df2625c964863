"""Parts that are cut out of a model's graphs compute what the whole graphs do."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper

from contract.trunk import projection_of, trunk_of
from tests.tiny_model import SIDE


def run(model: onnx.ModelProto, names: list[str], **feeds: NDArray[np.generic]) -> list[NDArray[np.float32]]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return list(session.run(names, feeds))


def test_features_lead_to_the_same_code(tiny_models: Path) -> None:
    encoder = onnx.load(tiny_models / "tiny" / "1" / "encoder.onnx")
    trunk = trunk_of(encoder)
    assert trunk is not None
    images = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)
    features, code = run(encoder, ["features", "code"], image=images)
    np.testing.assert_allclose(run(trunk, ["code"], features=features)[0], code, atol=1e-5)
    assert trunk.ByteSize() < encoder.ByteSize()


def test_a_code_is_projected_alike_without_the_patches_and_their_bank(tiny_models: Path) -> None:
    critic = onnx.load(tiny_models / "tiny" / "1" / "critic.onnx")
    projection = projection_of(critic)
    assert projection is not None
    shapes = {value.name: value.type.tensor_type.shape.dim for value in critic.graph.input}
    sides = [dim.dim_value for dim in shapes["features"]][1:]
    random = np.random.default_rng(0)
    code = random.standard_normal((3, shapes["code"][1].dim_value)).astype(np.float32)
    features = random.standard_normal((3, *sides)).astype(np.float32)
    (whole,) = run(critic, ["global"], features=features, code=code)
    np.testing.assert_allclose(run(projection, ["global"], code=code)[0], whole, atol=1e-6)
    made = {name for node in projection.graph.node for name in node.output}
    assert made.isdisjoint({"local", "local_log_normaliser", "mi_map"})


def test_a_code_that_needs_more_than_the_features_has_no_trunk() -> None:
    nodes = [
        helper.make_node("Relu", ["image"], ["features"]),
        helper.make_node("Add", ["features", "image"], ["code"]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "encoder",
        [value("image", TensorProto.FLOAT, ["N", 2])],
        [value("features", TensorProto.FLOAT, ["N", 2]), value("code", TensorProto.FLOAT, ["N", 2])],
    )
    assert trunk_of(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])) is None
