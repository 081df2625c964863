"""The trunk that is cut out of an encoder computes the encoder's code."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper

from contract.trunk import trunk_of
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
